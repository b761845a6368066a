import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import type { KeptPositions } from '../../../src/formats/gather.ts';
import {
  type ModelProto,
  ModelProtoSchema,
  type TensorProto,
  TensorProto_DataType as Type,
} from '../../../src/formats/onnx/onnx-schema.ts';
import { openSession } from '../../../src/runtime/session.ts';
import { elements, encode, floats, graph, model, modelFunction, node } from '../../models/build-model.ts';
import { keptOf, pick } from './pick-elements.ts';

import {
  assertSame,
  type Edit,
  entriesOf,
  even,
  external,
  inGraph,
  initializersOf,
  keepFirst,
  numbersOf,
  range,
  rewrite,
  tensor,
} from './rewritten.ts';

/** How numbers of a type are kept in its list, and as little-endian bytes. */
const LISTS: [
  Type,
  'floatData' | 'doubleData' | 'int32Data' | 'int64Data' | 'uint64Data',
  number,
  (n: number[]) => ArrayBuffer,
][] = [
  [Type.FLOAT, 'floatData', 1, (n) => new Float32Array(n).buffer],
  [Type.COMPLEX64, 'floatData', 2, (n) => new Float32Array(n).buffer],
  [Type.DOUBLE, 'doubleData', 1, (n) => new Float64Array(n).buffer],
  [Type.COMPLEX128, 'doubleData', 2, (n) => new Float64Array(n).buffer],
  [Type.FLOAT16, 'int32Data', 1, (n) => new Uint16Array(n).buffer],
  [Type.BFLOAT16, 'int32Data', 1, (n) => new Uint16Array(n).buffer],
  [Type.UINT16, 'int32Data', 1, (n) => new Uint16Array(n).buffer],
  [Type.INT16, 'int32Data', 1, (n) => new Int16Array(n).buffer],
  [Type.INT8, 'int32Data', 1, (n) => new Int8Array(n).buffer],
  [Type.UINT8, 'int32Data', 1, (n) => new Uint8Array(n).buffer],
  [Type.FLOAT8E4M3FN, 'int32Data', 1, (n) => new Uint8Array(n).buffer],
  [Type.INT32, 'int32Data', 1, (n) => new Int32Array(n).buffer],
  [Type.UINT32, 'uint64Data', 1, (n) => new Uint32Array(n).buffer],
  [Type.INT64, 'int64Data', 1, (n) => new BigInt64Array(n.map(BigInt)).buffer],
  [Type.UINT64, 'uint64Data', 1, (n) => new BigUint64Array(n.map(BigInt)).buffer],
];

const reduction = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 4 }).chain((shape) =>
  fc.record({
    shape: fc.constant(shape),
    kept: fc.tuple(...shape.map(keptOf)),
    list: fc.constantFrom(...LISTS),
    place: fc.constantFrom('raw', 'list', 'external', 'new' as const),
    scale: fc.integer({ min: 1, max: 2 ** 40 }),
  }),
);

describe('what is kept of a tensor', () => {
  test('is what picking its elements gives, for every type and place', async () => {
    await fc.assert(
      fc.asyncProperty(
        reduction,
        async ({ shape, kept, list: [dataType, field, parts, toBuffer], place, scale }) => {
          const count = elements(shape) * parts;
          const wide = range(count).map((at) => (at * scale) % 2 ** 53);
          const dense = new Uint8Array(toBuffer(wide));
          const listed = readBack(dataType, dense);
          const byteWidth = count === 0 ? 1 : dense.byteLength / elements(shape);
          const stored = {
            raw: { rawData: dense },
            list: { [field]: listed },
            new: { [field]: listed },
            external: external({ location: 'w.bin', offset: 5 }),
          }[place];
          const weight = tensor('w', shape, dataType, stored);
          const bytes = encode(model({ nodes: [], initializers: [weight] }));
          const edit: Edit = (skeleton) => {
            const target = place === 'new' ? weight : initializersOf(skeleton)[0];
            initializersOf(skeleton)[0] = target;
            return new Map([[target, kept]]);
          };
          const file = new Uint8Array([...new Uint8Array(5), ...dense]);
          const { proto, target } = await rewrite(bytes, edit, place === 'external' ? { 'w.bin': file } : {});
          const [found] = initializersOf(proto);
          const isWhole = shape.every((size, axis) => (kept[axis]?.length ?? size) === size);
          const expected = isWhole ? dense : pick(dense, shape, kept, byteWidth);
          assert.deepEqual(
            found.dims,
            shape.map((size, axis) => BigInt(kept[axis]?.length ?? size)),
          );
          if (place === 'external') {
            const { location, offset, length } = entriesOf(found);
            assert.deepEqual([location, offset, length], ['w.bin', '0', `${expected.byteLength}`]);
            assert.equal(Buffer.compare(await readFile(join(target, 'w.bin')), expected), 0);
          } else if (isWhole) {
            assertSame(proto, fromBinary(ModelProtoSchema, bytes));
          } else {
            assert.equal(Buffer.compare(found.rawData, expected), 0);
            const lists = [
              found.floatData,
              found.doubleData,
              found.int32Data,
              found.int64Data,
              found.uint64Data,
            ];
            assert.deepEqual(lists, [[], [], [], [], []]);
          }
        },
      ),
      { numRuns: 400 },
    );
  });

  test('of a list in pieces comes from all of them', async () => {
    const numbers = range(1200).map((at) => at + 0.5);
    const packed = new Uint8Array(Float32Array.from(numbers.slice(500)).buffer);
    const bytes = inGraph((writer) => {
      for (const dim of [30, 40]) writer.tag(1, WireType.Varint).int64(dim);
      for (const value of numbers.slice(0, 500)) writer.tag(4, WireType.Bit32).float(value);
      writer.tag(4, WireType.LengthDelimited).bytes(packed);
    });
    const { proto } = await rewrite(bytes, keepFirst(even(30), even(40)));
    assert.deepEqual(
      numbersOf(initializersOf(proto)[0]),
      numbers.filter((_, at) => at % 2 === 0 && Math.floor(at / 40) % 2 === 0),
    );
  });

  test('of a long list of varints is read in pieces that end within one', async () => {
    const numbers = range(900_000).map((at) => Math.imul(at, 0x9e3779b1) >>> 16);
    const weight = tensor('w', [900, 1000], Type.FLOAT16, { int32Data: numbers });
    const { proto } = await rewrite(
      encode(model({ nodes: [], initializers: [weight] })),
      keepFirst(null, even(1000)),
    );
    const [{ rawData }] = initializersOf(proto);
    const expected = Uint16Array.from(numbers.filter((_, at) => at % 2 === 0));
    assert.equal(Buffer.compare(rawData, new Uint8Array(expected.buffer)), 0);
  });

  test('stands in constants of bodies and functions too', async () => {
    const constant = () => node('Constant', [], ['w'], { value: floats('', [20, 30]) });
    const body = graph({ nodes: [constant()], outputs: ['w'] });
    const proto = model({ nodes: [node('If', ['c'], ['y'], { then_branch: body })] }, [
      modelFunction('f', [], ['w'], [constant()]),
    ]);
    const tensorsOf = (read: ModelProto): TensorProto[] =>
      [read.graph?.node[0].attribute[0].g?.node[0], read.functions[0].node[0]].flatMap(
        (owner) => owner?.attribute[0].t ?? [],
      );
    const edit: Edit = (skeleton) => new Map(tensorsOf(skeleton).map((found) => [found, [[1], [0, 29]]]));
    const written = await rewrite(encode(proto), edit);
    for (const found of tensorsOf(written.proto)) assert.deepEqual(numbersOf(found), [31, 60]);
    assert.equal(tensorsOf(written.proto).length, 2);
  });
});

/** A type's numbers as protobuf-es lists them. */
function readBack(dataType: Type, dense: Uint8Array): number[] | bigint[] {
  const { buffer } = dense;
  if (dataType === Type.FLOAT || dataType === Type.COMPLEX64) return [...new Float32Array(buffer)];
  if (dataType === Type.DOUBLE || dataType === Type.COMPLEX128) return [...new Float64Array(buffer)];
  if (dataType === Type.INT64) return [...new BigInt64Array(buffer)];
  if (dataType === Type.UINT64) return [...new BigUint64Array(buffer)];
  if (dataType === Type.UINT32) return [...new Uint32Array(buffer)].map(BigInt);
  if (dataType === Type.INT32) return [...new Int32Array(buffer)];
  if (dataType === Type.INT16) return [...new Int16Array(buffer)];
  if (dataType === Type.INT8) return [...new Int8Array(buffer)];
  const isByte = dataType === Type.UINT8 || dataType === Type.FLOAT8E4M3FN;
  return [...(isByte ? dense : new Uint16Array(buffer))];
}

describe('what is refused', () => {
  const refused = (weight: TensorProto, kept: KeptPositions, message: RegExp, code = 'unsupported_model') =>
    assert.rejects(rewrite(encode(model({ nodes: [], initializers: [weight] })), keepFirst(...kept)), {
      name: 'EmpError',
      code,
      message,
    });

  test('parts of texts', async () => {
    const texts = tensor('t', [2], Type.STRING, { stringData: [new Uint8Array(3), new Uint8Array(1)] });
    await refused(texts, [[0]], /its string elements have no fixed size/);
  });

  test('parts of a list scattered over more pieces than are noted', async () => {
    const bytes = inGraph((writer) => {
      writer.tag(1, WireType.Varint).int64(3000);
      for (let at = 0; at < 3000; at++) writer.tag(4, WireType.Bit32).float(at);
    });
    await assert.rejects(rewrite(bytes, keepFirst([0])), {
      code: 'unsupported_model',
      message: /parts of tensor of a node cannot be removed: its numbers are in too many pieces/,
    });
  });

  test('numbers of a new tensor that are not as many as its shape says, or in two fields', async () => {
    const replaced = (weight: TensorProto, message: RegExp) =>
      assert.rejects(
        rewrite(encode(model({ nodes: [], initializers: [floats('w', [2])] })), (skeleton) => {
          initializersOf(skeleton)[0] = weight;
          return new Map([[weight, [[0]]]]);
        }),
        { code: 'malformed_onnx', message },
      );
    const rawData = new Uint8Array(8);
    await replaced(tensor('v', [3], Type.FLOAT, { rawData }), /tensor v: expected 12 bytes, found 8/);
    const both = { rawData, floatData: [1, 2] };
    await replaced(tensor('v', [2], Type.FLOAT, both), /in one field, found several/);
  });

  test('varints that are too few, cut, too long, or too large', async () => {
    const float16 = (int32Data: number[]) => tensor('w', [600], Type.FLOAT16, { int32Data });
    await refused(float16(range(300).map(() => 65535)), [[599]], /found only 300 elements/, 'malformed_onnx');
    await refused(float16(range(600).map(() => 65536)), [[0]], /more than 2 bytes/, 'malformed_onnx');
    await refused(float16(range(600).map(() => -32769)), [[0]], /more than 2 bytes/, 'malformed_onnx');
    const stored = (list: Uint8Array) =>
      inGraph((writer) => {
        writer.tag(2, WireType.Varint).int32(Type.FLOAT16).tag(1, WireType.Varint).int64(600);
        writer.tag(5, WireType.LengthDelimited).bytes(list);
      });
    const endless = new Uint8Array(2000).fill(0x80);
    const malformed = (list: Uint8Array, message: RegExp) =>
      assert.rejects(rewrite(stored(list), keepFirst([599])), { code: 'malformed_onnx', message });
    await malformed(endless, /expected whole varints at byte \d+/);
    await malformed(endless.with(1999, 1), /a varint of more than 10 bytes/);
    await malformed(endless.slice(0, 1200).fill(1, 0, 599), /expected whole varints at byte \d+/);
  });
});

describe('onnxruntime loads what is written', () => {
  const x = Float32Array.from(range(40), (at) => at / 8 - 2);
  const [rows, columns] = [even(20), [0, 3, 4, 29]];
  /** x [2, 20] through w [20, 30] of which some rows and columns stay. */
  const expected = (scale: number) =>
    range(2).flatMap((sample) =>
      columns.map((column) =>
        rows.reduce((sum, row, i) => sum + x[sample * 10 + i] * (row * 30 + column + 1) * scale, 0),
      ),
    );

  async function run(target: string): Promise<number[]> {
    await using session = await openSession(join(target, 'model.onnx'), { providers: ['cpu'], threads: 1 });
    const feed = { dtype: 'float32', shape: [2, 10], data: x.subarray(0, 20) };
    return [...((await session.run(new Map([['x', feed]]), ['y'])).get('y')?.data ?? [])].map(Number);
  }

  const weight = floats('w', [20, 30]);
  const io = {
    inputs: [['x', [2, 10]]] as [string, number[]][],
    outputs: [['y', [2, 4]]] as [string, number[]][],
  };

  for (const [title, stored] of [
    ['in the model', weight],
    ['in external data', tensor('w', [20, 30], Type.FLOAT, external({ location: 'w.bin' }))],
  ] as const) {
    test(`with its weight ${title}`, async () => {
      const proto = model({ ...io, nodes: [node('MatMul', ['x', 'w'], ['y'])], initializers: [stored] });
      const others = stored === weight ? {} : { 'w.bin': weight.rawData };
      const { target } = await rewrite(encode(proto), keepFirst(rows, columns), others);
      assert.deepEqual(await run(target), expected(1));
    });
  }

  test('with its weight in the body of an If', async () => {
    const branch = (name: string) =>
      graph({
        nodes: [node('MatMul', ['x', 'w'], [name])],
        initializers: [floats('w', [20, 30])],
        outputs: [[name, [2, 4]]],
      });
    const condition = tensor('c', [], Type.BOOL, { rawData: Uint8Array.of(1) });
    const branches = { then_branch: branch('t'), else_branch: branch('e') };
    const proto = model({ ...io, nodes: [node('If', ['c'], ['y'], branches)], initializers: [condition] });
    const { target } = await rewrite(encode(proto), (skeleton) => {
      const graphs = skeleton.graph?.node[0].attribute.flatMap(({ g }) => g ?? []) ?? [];
      return new Map(graphs.map(({ initializer }) => [initializer[0], [rows, columns]]));
    });
    assert.deepEqual(await run(target), expected(1));
  });
});
