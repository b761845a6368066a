import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { create, fromBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { installedModels } from '../../../scripts/model-files.ts';
import { bytesSource } from '../../../src/formats/byte-source.ts';
import { openFileSource } from '../../../src/formats/file-source.ts';
import type { KeptPositions } from '../../../src/formats/gather.ts';
import { ByteParts, writeParts } from '../../../src/formats/onnx/byte-parts.ts';
import {
  ModelProtoSchema,
  SparseTensorProtoSchema,
  type TensorProto,
  TensorProto_DataType as Type,
} from '../../../src/formats/onnx/onnx-schema.ts';
import { NOTE_FIELD } from '../../../src/formats/onnx/payload.ts';
import { rewriteModel } from '../../../src/formats/onnx/rewrite-model.ts';
import { readSkeleton } from '../../../src/formats/onnx/skeleton.ts';
import { anyModel } from '../../models/any-model.ts';
import {
  encode,
  floats,
  graph,
  integers,
  model,
  modelFunction,
  node,
  SparseSource,
} from '../../models/build-model.ts';

import {
  assertSame,
  directory,
  entriesOf,
  even,
  external,
  inGraph,
  initializersOf,
  NO_EDIT,
  numbersOf,
  range,
  rewrite,
  rewriteFiles,
  signal,
  tensor,
} from './rewritten.ts';

async function assertUnchanged(bytes: Uint8Array): Promise<void> {
  const { proto } = await rewrite(bytes);
  assertSame(proto, fromBinary(ModelProtoSchema, bytes));
}

describe('without an edit the model is the same', () => {
  test('for random models', async () => {
    await fc.assert(
      fc.asyncProperty(anyModel, (proto) => assertUnchanged(encode(proto))),
      { numRuns: 100 },
    );
  });

  test('for lists of every kind, small and large', async () => {
    const initializers = [3, 2000].flatMap((length) => {
      const numbers = range(length).map((at) => at * 1000 - 500);
      const texts = numbers.map((number) => new TextEncoder().encode(`text ${number}`));
      return [
        tensor('f', [length], Type.FLOAT, { floatData: numbers }),
        tensor('d', [length], Type.DOUBLE, { doubleData: numbers }),
        tensor('i', [length], Type.INT32, { int32Data: numbers }),
        tensor('l', [length], Type.INT64, { int64Data: numbers.map(BigInt) }),
        tensor('u', [length], Type.UINT64, { uint64Data: numbers.map((at) => BigInt(at + 500)) }),
        tensor('s', [length], Type.STRING, { stringData: texts }),
        tensor('e', [length], Type.STRING, { stringData: texts.map(() => new Uint8Array()) }),
        tensor('4', [2 * length], Type.INT4, { rawData: new Uint8Array(length).fill(0x21) }),
        tensor('?', [length], 99 as Type, { rawData: new Uint8Array(length).fill(7) }),
      ];
    });
    await assertUnchanged(encode(model({ nodes: [], initializers })));
  });

  test('for lists in pieces, packed, one by one, and more of them than are noted', async () => {
    const bytes = inGraph((writer) => {
      for (let at = 0; at < 3000; at++) writer.tag(4, WireType.Bit32).float(at);
      writer.tag(4, WireType.LengthDelimited).bytes(new Uint8Array(Float32Array.of(1, 2, 3).buffer));
      writer.tag(8, WireType.LengthDelimited).string('between');
      for (let at = 0; at < 3000; at++) writer.tag(7, WireType.Varint).int64(-at);
    });
    await assertUnchanged(bytes);
  });

  test('with fields that no schema knows, and notes that the file brings', async () => {
    const unknown = { no: 1000, wireType: WireType.LengthDelimited, data: Uint8Array.of(3, 1, 2, 3) };
    const proto = model({ nodes: [node('Relu', ['x'], ['y'])], initializers: [floats('w', [40, 40])] });
    const owners = [proto, proto.graph, proto.graph?.node[0], proto.graph?.initializer[0]];
    for (const owner of owners) if (owner) owner.$unknown = [unknown];
    await assertUnchanged(encode(proto));
    initializersOf(proto)[0].$unknown = [unknown, { ...unknown, no: NOTE_FIELD }];
    const written = await rewrite(encode(proto));
    assert.deepEqual(initializersOf(written.proto)[0].$unknown, [unknown]);
  });

  test('for tensors in attributes, bodies, functions and sparse tensors', async () => {
    const body = graph({
      nodes: [node('Constant', [], ['c'], { value: floats('', [30, 30]) }), node('Add', ['c', 'v'], ['y'])],
      initializers: [floats('v', [30, 30])],
      outputs: ['y'],
    });
    const inner = graph({ nodes: [node('If', ['c'], ['y'], { then_branch: body, else_branch: body })] });
    const proto = model({ nodes: [node('Loop', ['n', ''], ['y'], { body: inner })] }, [
      modelFunction('f', ['x'], ['y'], [node('Constant', [], ['y'], { value: floats('', [40, 40]) })]),
    ]);
    proto.graph?.sparseInitializer.push(
      create(SparseTensorProtoSchema, {
        dims: [100000n],
        values: floats('s', [500]),
        indices: integers('', range(500)),
      }),
    );
    await assertUnchanged(encode(proto));
  });

  const hasTestdata = existsSync('/usr/share/doc/libonnx-testdata');
  test("for all of Debian's libonnx-testdata", { skip: !hasTestdata && 'not installed' }, async () => {
    const paths = installedModels();
    for (const path of paths) {
      await using source = await openFileSource(path);
      const { bytes } = await rewriteFiles(new Map([['model.onnx', source]]), NO_EDIT);
      const original = await readFile(path);
      assert.equal(bytes.byteLength, original.byteLength, basename(path));
      assertSame(fromBinary(ModelProtoSchema, bytes), fromBinary(ModelProtoSchema, original));
    }
    assert.ok(paths.length > 1000);
  });
});

test('an edited graph is written with its new nodes, small tensors and values', async () => {
  const bytes = encode(
    model({
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
      initializers: [floats('w', [40, 40]), integers('s', [1, 2])],
    }),
  );
  const { proto } = await rewrite(bytes, (skeleton) => {
    const { graph } = skeleton;
    assert.ok(graph);
    graph.node.push(node('Reshape', ['y', 's'], ['z']));
    graph.initializer[1].int64Data = [4n, 400n];
    graph.initializer.push(integers('added', [7]));
    skeleton.producerName = 'emp';
    return new Map();
  });
  assert.deepEqual(
    proto.graph?.node.map(({ opType }) => opType),
    ['MatMul', 'Reshape'],
  );
  const [w, s, added] = initializersOf(proto);
  assert.equal(numbersOf(w).length, 1600);
  assert.deepEqual([s.int64Data, added.int64Data, proto.producerName], [[4n, 400n], [7n], 'emp']);
});

describe('external data', () => {
  const file = new Uint8Array(Float32Array.from(range(20_000)).buffer);
  const at = (name: string, dims: number[], offset: number, more: Record<string, string | number> = {}) =>
    tensor(name, dims, Type.FLOAT, external({ location: 'data/w.bin', offset, ...more }));

  test('is laid out anew: pages for large tensors, one place for what shared one, other entries kept', async () => {
    const initializers = [
      at('a', [100, 20], 8, { checksum: 'of the file', basepath: 'kept' }),
      at('shared', [100, 20], 8),
      at('small', [3], 40_000),
      at('b', [10, 2], 60_000),
    ];
    const files = { 'data/w.bin': file };
    const { proto, names, target } = await rewrite(
      encode(model({ nodes: [], initializers })),
      (skeleton) =>
        new Map<TensorProto, KeptPositions>([
          [initializersOf(skeleton)[0], [null, even(20)]],
          [initializersOf(skeleton)[3], [[9], null]],
        ]),
      files,
    );
    assert.deepEqual(names, ['model.onnx', 'data/w.bin']);
    const written = await readFile(join(target, 'data/w.bin'));
    const numbers = initializersOf(proto).map((found) => {
      const { offset, length } = entriesOf(found);
      return [...new Float32Array(new Uint8Array(written).buffer, Number(offset), Number(length) / 4)];
    });
    assert.deepEqual(numbers, [
      range(2000)
        .filter((i) => i % 2 === 0)
        .map((i) => i + 2),
      range(2000).map((i) => i + 2),
      [10_000, 10_001, 10_002],
      [15_018, 15_019],
    ]);
    assert.deepEqual(
      initializersOf(proto).map((found) => entriesOf(found)),
      [
        { location: 'data/w.bin', basepath: 'kept', offset: '0', length: '4000' },
        { location: 'data/w.bin', offset: '4096', length: '8000' },
        { location: 'data/w.bin', offset: '12096', length: '12' },
        { location: 'data/w.bin', offset: '12160', length: '8' },
      ],
    );
  });

  test('that is not reduced is shared by tensors that shared it', async () => {
    const initializers = [at('a', [100, 20], 8), at('b', [50, 40], 8), at('c', [50, 40], 12)];
    const bytes = encode(model({ nodes: [], initializers }));
    const { proto } = await rewrite(bytes, NO_EDIT, { 'data/w.bin': file });
    const offsets = initializersOf(proto).map((found) => entriesOf(found).offset);
    assert.deepEqual(offsets, ['0', '0', '8192']);
  });

  test('is refused where it would lead elsewhere, is missing, or overlaps without end', async () => {
    const refused = (initializers: TensorProto[], code: string, message: RegExp) =>
      assert.rejects(rewrite(encode(model({ nodes: [], initializers })), NO_EDIT, { 'data/w.bin': file }), {
        name: 'EmpError',
        code,
        message,
      });
    const located = (location: string) => tensor('w', [2], Type.FLOAT, external({ location }));
    await refused([located('../w.bin')], 'malformed_onnx', /inside the model's folder/);
    await refused([located('model.onnx')], 'malformed_onnx', /outside model.onnx, which is the model itself/);
    await refused([located('other.bin')], 'missing_file', /other.bin, which was not given/);
    await refused([at('w', [30_000], 0)], 'malformed_onnx', /within the 80000 bytes/);
    const texts = tensor('w', [2], Type.STRING, external({ location: 'data/w.bin' }));
    await refused([texts], 'malformed_onnx', /expected numbers in external data, found string/);
    const overlapping = range(50).map((i) => at(`w${i}`, [19_000], 4 * i));
    await refused(overlapping, 'unsupported_model', /more than 320000 bytes apart/);
  });
});

test('a model that would exceed 2 GiB is refused before anything is written', async () => {
  const size = 2 ** 31;
  const raw = new BinaryWriter().tag(9, WireType.LengthDelimited).uint64(size).finish();
  const initializer = new BinaryWriter()
    .tag(5, WireType.LengthDelimited)
    .uint64(raw.byteLength + size)
    .finish();
  const head = new BinaryWriter()
    .tag(7, WireType.LengthDelimited)
    .uint64(initializer.byteLength + raw.byteLength + size)
    .raw(initializer)
    .raw(raw)
    .finish();
  const source = new SparseSource(head.byteLength + size, new Map([[0, head]]));
  const skeleton = await readSkeleton(source, 'model.onnx');
  const target = await mkdtemp(join(directory, 'large-'));
  await assert.rejects(rewriteModel(skeleton, new Map([['model.onnx', source]]), new Map(), target, signal), {
    code: 'unsupported_model',
    message: /model.onnx would be too large .* at most 2147483647 bytes, .* found 21474836\d\d/,
  });
  assert.deepEqual(await readdir(target), []);
});

test('nothing is written over, and nothing after an abort', async () => {
  const source = bytesSource(encode(model({ nodes: [], initializers: [floats('w', [40, 40])] })));
  const files = new Map([['model.onnx', source]]);
  const skeleton = await readSkeleton(source, 'model.onnx');
  const target = await mkdtemp(join(directory, 'taken-'));
  await writeFile(join(target, 'model.onnx'), 'taken');
  await assert.rejects(rewriteModel(skeleton, files, new Map(), target, signal), { code: 'EEXIST' });
  assert.equal(await readFile(join(target, 'model.onnx'), 'utf8'), 'taken');
  const elsewhere = await mkdtemp(join(directory, 'aborted-'));
  const aborted = AbortSignal.abort();
  await assert.rejects(rewriteModel(skeleton, files, new Map(), elsewhere, aborted), { name: 'AbortError' });
});

test('what was announced with another length is not written', async () => {
  const parts = new ByteParts();
  parts.push({
    byteLength: 5,
    async *read() {
      yield new Uint8Array(4);
    },
  });
  await assert.rejects(writeParts(join(directory, 'short'), parts, signal), RangeError);
});
