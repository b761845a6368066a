import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { bytesSource } from '../../../src/formats/byte-source.ts';
import {
  ModelProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from '../../../src/formats/onnx/onnx-schema.ts';
import { payloadOf, WHOLE_FIELDS } from '../../../src/formats/onnx/payload.ts';
import { readSkeleton, readSkeletonBytes } from '../../../src/formats/onnx/skeleton.ts';
import { anyModel } from '../../models/any-model.ts';
import { encode, floats, graph, model, node, SparseSource } from '../../models/build-model.ts';

const rejected = (bytes: Uint8Array, message: RegExp, code = 'malformed_onnx') =>
  assert.rejects(readSkeleton(bytesSource(bytes), 'model.onnx'), { name: 'EmpError', code, message });

/** Every TensorProto anywhere in a message, in a fixed order. */
function tensorsOf(value: unknown): TensorProto[] {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return [];
  const found = Object.values(value).flatMap((child) => tensorsOf(child));
  const isTensor = '$typeName' in value && value.$typeName === 'onnx.TensorProto';
  return isTensor ? [value as TensorProto, ...found] : found;
}

/** A tensor's payload, decoded anew from the runs that its note names. */
function withPayload(tensor: TensorProto, file: Uint8Array): TensorProto {
  const writer = new BinaryWriter();
  for (const run of payloadOf(tensor).runs) {
    const bytes = file.subarray(run.offset, run.offset + run.byteLength);
    if (run.field === WHOLE_FIELDS) writer.raw(bytes);
    else writer.tag(run.field, WireType.LengthDelimited).bytes(bytes);
  }
  const payload = fromBinary(TensorProtoSchema, writer.finish());
  const { floatData, doubleData, int32Data, int64Data, uint64Data, stringData } = payload;
  Object.assign(tensor, { floatData, doubleData, int32Data, int64Data, uint64Data, stringData });
  if (Object.hasOwn(payload, 'rawData')) tensor.rawData = payload.rawData;
  delete tensor.$unknown;
  return tensor;
}

async function assertSkeletonMatches(bytes: Uint8Array): Promise<void> {
  const skeleton = await readSkeleton(bytesSource(bytes), 'model.onnx');
  for (const tensor of tensorsOf(skeleton)) withPayload(tensor, bytes);
  assert.deepEqual(skeleton, fromBinary(ModelProtoSchema, bytes));
}

describe('a skeleton with its payloads put back is the model', () => {
  test('of random models', async () => {
    await fc.assert(
      fc.asyncProperty(anyModel, (proto) => assertSkeletonMatches(encode(proto))),
      { numRuns: 150 },
    );
  });

  test('of concatenated models, which protobuf merges', async () => {
    const parts = [
      model({ nodes: [node('Relu', ['x'], ['y'])], initializers: [floats('w', [30, 40])] }),
      model({ nodes: [node('Relu', ['y'], ['z'])], initializers: [floats('v', [50, 40])], outputs: ['z'] }),
    ].map(encode);
    const bytes = new Uint8Array(Buffer.concat(parts));
    await assertSkeletonMatches(bytes);
    const { graph } = await readSkeleton(bytesSource(bytes), 'model.onnx');
    assert.deepEqual(
      graph?.initializer.map(({ name }) => name),
      ['w', 'v'],
    );
    assert.equal(graph?.node.length, 2);
  });

  test('of a tensor attribute in two pieces: the last raw_data counts, lists are joined', async () => {
    const attribute = new BinaryWriter().tag(1, WireType.LengthDelimited).string('value');
    for (const length of [4000, 12]) {
      const tensor = {
        dims: [BigInt(length)],
        dataType: 2,
        rawData: new Uint8Array(length).fill(7),
        floatData: [1],
      };
      attribute.tag(5, WireType.LengthDelimited);
      attribute.bytes(toBinary(TensorProtoSchema, create(TensorProtoSchema, tensor)));
    }
    const nested = [5, 1, 7].reduce(
      (bytes, field) => new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(bytes).finish(),
      attribute.finish(),
    );
    const bytes = new Uint8Array(nested);
    const [tensor] = tensorsOf(await readSkeleton(bytesSource(bytes), 'model.onnx'));
    assert.equal(payloadOf(tensor).runs.length, 3);
    await assertSkeletonMatches(bytes);
  });
});

test('unpacked lists are noted element by element up to a limit, what follows as a whole', async () => {
  /** After every `stretch` elements the tensor's type again. */
  const unpacked = (length: number, stretch = length) => {
    const writer = new BinaryWriter();
    for (let index = 0; index < length; index++) {
      if (index % stretch === 0) writer.tag(2, WireType.Varint).int32(1);
      writer.tag(4, WireType.Bit32).float(index);
    }
    const initializer = new BinaryWriter().tag(5, WireType.LengthDelimited).bytes(writer.finish()).finish();
    return new BinaryWriter().tag(7, WireType.LengthDelimited).bytes(initializer).finish();
  };
  for (const length of [1000, 1025, 100_000]) await assertSkeletonMatches(unpacked(length));
  await assertSkeletonMatches(unpacked(5000, 300));
  const skeleton = await readSkeleton(bytesSource(unpacked(100_000)), 'model.onnx');
  const [tensor] = tensorsOf(skeleton);
  assert.equal(payloadOf(tensor).complete, false);
  assert.equal(payloadOf(tensor).runs.length, 1025);
  assert.ok(tensor.floatData.length <= 256); // 1 KiB
  await rejected(unpacked(3000, 1), /expected a tensor's numbers one behind the other, found them scattered/);
});

test('a note that the file itself carries is not believed', async () => {
  const forged = floats('w', [2]);
  forged.$unknown = [{ no: 2 ** 29 - 1, wireType: WireType.LengthDelimited, data: Uint8Array.of(2, 9, 1) }];
  const skeleton = await readSkeleton(
    bytesSource(encode(model({ nodes: [], initializers: [forged] }))),
    'model.onnx',
  );
  const { runs } = payloadOf(tensorsOf(skeleton)[0]);
  assert.deepEqual(
    runs.map(({ byteLength }) => byteLength),
    [8],
  );
});

test('of gigabytes of tensors only kilobytes are read, also behind 2 GiB', async () => {
  const tail = encode(model({ nodes: [node('MatMul', ['x', 'w'], ['y'])] }));
  const size = 3 * 2 ** 30;
  const head = new BinaryWriter();
  const name = new BinaryWriter().tag(8, WireType.LengthDelimited).string('w').finish();
  const raw = new BinaryWriter().tag(9, WireType.LengthDelimited).uint64(size).finish();
  const tensorLength = name.byteLength + raw.byteLength + size;
  const initializer = new BinaryWriter().tag(5, WireType.LengthDelimited).uint64(tensorLength).finish();
  head.tag(7, WireType.LengthDelimited).uint64(initializer.byteLength + tensorLength);
  head.raw(initializer).raw(name).raw(raw);
  const start = head.finish();
  const pieces = new Map([
    [0, start],
    [start.byteLength + size, tail],
  ]);
  const source = new SparseSource(start.byteLength + size + tail.byteLength, pieces);
  const skeleton = await readSkeleton(source, 'model.onnx');
  const [tensor] = tensorsOf(skeleton);
  assert.deepEqual(payloadOf(tensor).runs, [
    { field: 9, inline: false, offset: start.byteLength, byteLength: size },
  ]);
  assert.equal(skeleton.graph?.node[0].opType, 'MatMul');
  assert.ok(source.bytesRead < 10_000, `${source.bytesRead} bytes read`);
});

describe('what is refused', () => {
  const text = (content: string) => new TextEncoder().encode(content);
  const bytes = (...values: number[]) => Uint8Array.from(values);

  for (const [title, file, message] of [
    ['an empty file', bytes(), /byte 0: expected a ModelProto, found an empty file/],
    ['a text file', text('this is not a model\n'), /byte 0: expected a field of wire type/],
    [
      'an HTML page',
      text('<!DOCTYPE html><html>'),
      /byte 0: expected a field of wire type 0, 1, 2 or 5, found 4/,
    ],
    ['a Git LFS pointer', text('version https://git-lfs.github.com/spec/v1\n'), /byte 0: /],
    ['zeros', new Uint8Array(100), /byte 0: expected a field number from 1 .*, found 0/],
    ['a model without a graph', bytes(0x08, 0x08), /holds no graph/],
    ['a truncated tag', bytes(0x08, 0x08, 0x80), /byte 2: expected a field tag, but .* ends at byte 3/],
    [
      'a tag longer than protobuf allows',
      bytes(0x88, 0x80, 0x80, 0x80, 0x80, 0, 8),
      /byte 0: expected a field tag of at most 5/,
    ],
    ['a truncated varint', bytes(0x08, 0xff, 0xff), /byte 1: expected a varint/],
    [
      'an endless varint',
      bytes(0x08, ...Array(20).fill(0xff)),
      /byte 1: found a varint of more than 10 bytes/,
    ],
    [
      'a truncated fixed32',
      bytes(0x0d | 0x80, 0x10, 1, 2),
      /expected a field that ends with its ModelProto at byte 4/,
    ],
    [
      'a length beyond the file',
      bytes(0x3a, 0x05, 1),
      /byte 0: expected a field that ends .* byte 3, found one of 5/,
    ],
    ['a length of exabytes', bytes(0x3a, ...Array(9).fill(0xff), 1), /byte 1: expected a length below 2\^53/],
    [
      'a length of terabytes',
      bytes(0x3a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20),
      /byte 0: expected a field that ends/,
    ],
    [
      'a length beyond the enclosing message',
      bytes(0x3a, 3, 0x0a, 4, 1, 0, 0, 0, 0),
      /byte 2: .* GraphProto at byte 5/,
    ],
    [
      'a message with the wrong wire type',
      bytes(0x38, 1),
      /byte 0: expected ModelProto.graph with wire type 2, found 0/,
    ],
    [
      'a number with the wrong wire type',
      bytes(0x0d, 0, 0, 0, 0),
      /ModelProto.ir_version with wire type 0, found 5/,
    ],
    ['a group', bytes(0x0b, 0x0c), /byte 0: expected a field of wire type 0, 1, 2 or 5, found 3/],
  ] as const) {
    test(title, () => rejected(file, message));
  }

  test('packed lists that end within an element', async () => {
    const tensor = (field: number, contents: Uint8Array) =>
      [7, 5]
        .reverse()
        .reduce(
          (inner, outer) => new BinaryWriter().tag(outer, WireType.LengthDelimited).bytes(inner).finish(),
          new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(contents).finish(),
        );
    await rejected(tensor(4, bytes(1, 2, 3)), /byte 4: expected float_data in multiples of 4 bytes, found 3/);
    await rejected(tensor(1, bytes(1, 0x80)), /byte 4: expected dims to hold whole varints/);
    const endless = new Uint8Array(12).fill(0x80, 0, 11);
    await rejected(tensor(1, endless), /expected dims to hold whole varints of at most 10 bytes/);
  });

  test('subgraphs nested beyond the limit', async () => {
    let nested = graph({ nodes: [] });
    for (let level = 0; level < 40; level++)
      nested = graph({ nodes: [node('If', [], [], { body: nested })] });
    const proto = create(ModelProtoSchema, { graph: nested });
    await rejected(encode(proto), /expected messages nested at most 100 deep/);
  });

  test('a long text, before it is read', async () => {
    const length = 100 * 2 ** 20;
    const head = new BinaryWriter().tag(6, WireType.LengthDelimited).uint64(length).finish();
    const source = new SparseSource(head.byteLength + length, new Map([[0, head]]));
    await assert.rejects(readSkeletonBytes(source, 'model.onnx'), {
      code: 'unsupported_model',
      message: /more than 64 MiB of graph, attributes and texts/,
    });
    assert.ok(source.bytesRead < 10_000);
  });

  test('small messages that would decode to gigabytes', async () => {
    const values = new Uint8Array(4 * 2 ** 20).map((_, index) => (index % 2 === 0 ? 0x6a : 0));
    const file = new BinaryWriter().tag(7, WireType.LengthDelimited).bytes(values).finish();
    await rejected(file, /more than 512 MiB/, 'unsupported_model');
  });
});
