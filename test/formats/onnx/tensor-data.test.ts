import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import {
  TensorProto_DataLocation,
  TensorProtoSchema,
  TensorProto_DataType as Type,
} from '../../../src/formats/onnx/onnx-schema.ts';
import { encode, inventoryOf, model, node } from '../../models/build-model.ts';

type TensorParts = MessageInitShape<typeof TensorProtoSchema>;

const MATMUL = node('MatMul', ['x', 'w'], ['y']);

function encodeWeight(parts: TensorParts): Uint8Array {
  const tensor = create(TensorProtoSchema, { name: 'w', dims: [6n, 4n], dataType: Type.FLOAT, ...parts });
  return encode(model({ nodes: [MATMUL], initializers: [tensor] }));
}

async function weight(parts: TensorParts, others: Record<string, Uint8Array> = {}) {
  const bytes = encodeWeight(parts);
  const { tensors, files, nParameters } = await inventoryOf(bytes, others);
  const [tensor] = tensors;
  const source: Record<string, Uint8Array> = { 'model.onnx': bytes, ...others };
  const content = Buffer.concat(
    (tensor.data?.runs ?? []).map(({ file, offset, byteLength }) =>
      source[file].subarray(offset, offset + byteLength),
    ),
  );
  return { tensor, files, nParameters, content: new Uint8Array(content) };
}

const refused = (parts: TensorParts, message: RegExp, others: Record<string, Uint8Array> = {}) =>
  assert.rejects(weight(parts, others), { name: 'EmpError', code: 'malformed_onnx', message });

const numbers = Array.from({ length: 24 }, (_, index) => index - 7.5);

describe('where numbers are', () => {
  test('raw_data', async () => {
    const rawData = new Uint8Array(Float32Array.from(numbers).buffer);
    const { tensor, content } = await weight({ rawData });
    assert.deepEqual(content, rawData);
    assert.equal(tensor.prunable, true);
  });

  test('float_data and double_data', async () => {
    const single = await weight({ floatData: numbers });
    assert.deepEqual(new Float32Array(single.content.buffer), Float32Array.from(numbers));
    const double = await weight({ doubleData: numbers, dataType: Type.DOUBLE });
    assert.deepEqual(new Float64Array(double.content.buffer), Float64Array.from(numbers));
    assert.equal(double.tensor.dtype, 'float64');
    assert.deepEqual([single.tensor.prunable, double.tensor.prunable], [true, true]);
  });

  test('float_data in pieces, packed and one by one', async () => {
    const writer = new BinaryWriter().tag(2, WireType.Varint).int32(Type.FLOAT);
    for (const dim of [6, 4]) writer.tag(1, WireType.Varint).int64(dim);
    writer.tag(8, WireType.LengthDelimited).string('w');
    for (const value of numbers.slice(0, 3)) writer.tag(4, WireType.Bit32).float(value);
    writer.tag(4, WireType.LengthDelimited).bytes(new Uint8Array(Float32Array.from(numbers.slice(3)).buffer));
    const initializer = new BinaryWriter().tag(5, WireType.LengthDelimited).bytes(writer.finish()).finish();
    const appended = new BinaryWriter().tag(7, WireType.LengthDelimited).bytes(initializer).finish();
    const bytes = new Uint8Array(Buffer.concat([encode(model({ nodes: [MATMUL] })), appended]));
    const { tensors } = await inventoryOf(bytes);
    const runs = tensors[0].data?.runs ?? [];
    assert.deepEqual(
      runs.map(({ byteLength }) => byteLength),
      [4, 4, 4, 84],
    );
    const view = new DataView(bytes.buffer);
    assert.deepEqual(
      runs.map(({ offset }) => view.getFloat32(offset, true)),
      numbers.slice(0, 4),
    );
    assert.equal(tensors[0].prunable, true);
  });

  test('int32_data of 16-bit floats, as varints', async () => {
    for (const [dataType, dtype] of [
      [Type.FLOAT16, 'float16'],
      [Type.BFLOAT16, 'bfloat16'],
    ] as const) {
      const { tensor } = await weight({ dataType, int32Data: numbers.map((_, index) => index * 2000) });
      assert.deepEqual([tensor.dtype, tensor.data?.encoding, tensor.prunable], [dtype, 'varint', true]);
    }
  });

  test('nowhere, for an empty tensor', async () => {
    const { tensor } = await weight({ dims: [0n, 4n] });
    assert.deepEqual([tensor.data, tensor.prunable], [null, false]);
  });

  test('8-bit floats are a weight, and not prunable', async () => {
    const { tensor } = await weight({ dataType: Type.FLOAT8E4M3FN, rawData: new Uint8Array(24) });
    assert.deepEqual([tensor.dtype, tensor.role, tensor.prunable], ['float8_e4m3fn', 'weight', false]);
  });
});

describe('external data', () => {
  const external = (entries: Record<string, string>): TensorParts => ({
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
  });
  const file = Uint8Array.from({ length: 200 }, (_, index) => index);

  test('is found by location, offset and length', async () => {
    const entries = { location: 'w.bin', offset: '64', length: '96' };
    const { tensor, files, nParameters } = await weight(external(entries), { 'w.bin': file });
    assert.deepEqual(tensor.data?.runs, [{ file: 'w.bin', offset: 64, byteLength: 96 }]);
    assert.deepEqual([files, tensor.prunable, nParameters], [['model.onnx', 'w.bin'], true, 24]);
  });

  test('without offset and length begins at 0 and is as long as the shape says', async () => {
    const { tensor } = await weight(external({ location: './data/w.bin' }), { 'data/w.bin': file });
    assert.deepEqual(tensor.data?.runs, [{ file: 'data/w.bin', offset: 0, byteLength: 96 }]);
  });

  for (const location of [
    '',
    '/etc/passwd',
    '../w.bin',
    'a/../../w.bin',
    'a//b',
    '..\\w.bin',
    'C:w.bin',
    'w\0',
    '.',
  ]) {
    test(`may not be at ${JSON.stringify(location)}`, () =>
      refused(
        external({ location }),
        /tensor w: expected an external data location inside the model's folder/,
      ));
  }

  test('that is not there', () =>
    assert.rejects(weight(external({ location: 'w.bin' })), {
      code: 'missing_file',
      message: 'tensor w is kept in w.bin, which was not given: send it in the same upload',
    }));

  test('of an operand that is no parameter belongs to the model too', async () => {
    const value = create(TensorProtoSchema, {
      ...external({ location: 'w.bin' }),
      dims: [2n],
      dataType: Type.INT64,
    } as TensorParts);
    const nodes = [node('Constant', [], ['shape'], { value })];
    const { files, tensors } = await inventoryOf(encode(model({ nodes })), { 'w.bin': file });
    assert.deepEqual([files, tensors], [['model.onnx', 'w.bin'], []]);
  });

  test('that no tensor needs', () =>
    assert.rejects(weight({ floatData: numbers }, { 'w.bin': file }), {
      code: 'invalid_request',
      message: /no external data in w.bin/,
    }));

  test('outside the file, with a wrong length, with nonsense for numbers', async () => {
    const others = { 'w.bin': file };
    const at = (entries: object) => external({ location: 'w.bin', ...entries });
    await refused(
      at({ offset: '105' }),
      /within the 200 bytes of w.bin, found 105 to 201: was the file cut short/,
      others,
    );
    await refused(at({ length: '95' }), /expected 96 bytes of external data, found length 95/, others);
    await refused(at({ offset: '-1' }), /whole number as offset, found "-1"/, others);
    await refused(at({ offset: '1e3' }), /whole number as offset/, others);
    await refused(at({ offset: '9007199254740993' }), /whole number as offset/, others);
  });

  test('that two tensors share is pruned once', async () => {
    const tensors = ['w', 'v'].map((name) =>
      create(TensorProtoSchema, {
        ...external({ location: 'w.bin' }),
        name,
        dims: [6n, 4n],
        dataType: Type.FLOAT,
      } as TensorParts),
    );
    const nodes = [MATMUL, node('MatMul', ['x', 'v'], ['z'])];
    const { tensors: found } = await inventoryOf(encode(model({ nodes, initializers: tensors })), {
      'w.bin': file,
    });
    assert.deepEqual(
      found.map(({ name, role, prunable }) => [name, role, prunable]),
      [
        ['w', 'weight', true],
        ['v', 'weight', false],
      ],
    );
  });
});

describe('tensors that do not add up', () => {
  const rawData = new Uint8Array(96);
  test('too few bytes', () =>
    refused({ rawData: rawData.subarray(1) }, /tensor w: expected 96 bytes for float32 \[6, 4\], found 95/));
  test('no bytes', () => refused({}, /expected 96 bytes for float32 \[6, 4\], found 0/));
  test('more elements than varints', () =>
    refused({ dataType: Type.FLOAT16, int32Data: [1, 2, 3] }, /expected 24 to 240 bytes for float16/));
  test('a negative dimension', () =>
    refused({ rawData, dims: [-6n, -4n] }, /dimensions of 0 or more, found -6/));
  test('a shape of 2^64 elements', () =>
    refused({ rawData, dims: [2n ** 32n, 2n ** 32n] }, /fewer than 2\^53 elements/));
  test('a huge dimension beside a zero', () =>
    refused({ dims: [0n, 2n ** 60n] }, /fewer than 2\^53 elements/));
  test('too many dimensions', () =>
    refused({ rawData, dims: Array(65).fill(1n) }, /at most 64 dimensions, found 65/));
  test('two payloads', () => refused({ rawData, floatData: numbers }, /in one field, found several/));
  test('the wrong list', () => refused({ doubleData: numbers }, /float32 numbers in raw_data or float_data/));
});
