import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { TensorProto_DataType, TensorProtoSchema } from '../../../src/formats/onnx/onnx-schema.ts';
import { decodeVarints, zeroVarints } from '../../../src/formats/onnx/varint-floats.ts';
import { encode, inventoryOf, model, node } from '../../models/build-model.ts';

const patterns = fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 50 });

function varints(values: readonly number[]): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter();
  for (const value of values) writer.int32(value);
  return new Uint8Array(writer.finish());
}

function packMask(keep: readonly boolean[]): Uint8Array {
  const mask = new Uint8Array(Math.ceil(keep.length / 8));
  for (const [index, kept] of keep.entries()) if (kept) mask[index >> 3] |= 1 << (index & 7);
  return mask;
}

describe('16-bit floats as varints', () => {
  test('are decoded', () => {
    fc.assert(
      fc.property(patterns, (values) => {
        assert.deepEqual([...decodeVarints(varints(values), values.length)], values);
      }),
    );
  });

  test('are zeroed where they are not kept, at the same length', () => {
    fc.assert(
      fc.property(patterns, fc.infiniteStream(fc.boolean()), (values, stream) => {
        const keep = [...stream.take(values.length)];
        const bytes = varints(values);
        zeroVarints(bytes, packMask(keep));
        assert.equal(bytes.byteLength, varints(values).byteLength);
        const expected = values.map((value, index) => (keep[index] ? value : 0));
        assert.deepEqual([...decodeVarints(bytes, values.length)], expected);
        zeroVarints(bytes, packMask(keep));
        assert.deepEqual([...decodeVarints(bytes, values.length)], expected, 'twice is the same as once');
      }),
    );
  });

  test('are refused when there are too few or many, cut, or wider', () => {
    const malformed = { name: 'EmpError', code: 'malformed_onnx' };
    assert.throws(() => decodeVarints(varints([1, 2, 3]), 4), malformed);
    assert.throws(() => decodeVarints(varints([1, 2, 3]), 2), malformed);
    assert.throws(() => decodeVarints(Uint8Array.of(1, 0x80), 2), malformed);
    assert.throws(() => decodeVarints(varints([0x10000]), 1), malformed);
    assert.throws(() => decodeVarints(varints([-1]), 1), malformed);
    assert.throws(() => zeroVarints(new Uint8Array(20).fill(0xff), Uint8Array.of(0)), malformed);
  });
});

test('onnxruntime reads a model whose varints were zeroed in place', async () => {
  const weights = Float16Array.from([1, -2, 0.5, 3, 60000, -0.1]);
  const patterns = [...new Uint16Array(weights.buffer)];
  const tensor = create(TensorProtoSchema, {
    name: 'w',
    dims: [3n, 2n],
    dataType: TensorProto_DataType.FLOAT16,
    int32Data: patterns,
  });
  const nodes = [node('Cast', ['w'], ['c'], { to: 1 }), node('MatMul', ['x', 'c'], ['y'])];
  const proto = model({ nodes, initializers: [tensor], inputs: [['x', [3, 3]]] });
  const output = model({ nodes: [], inputs: [['y', [3, 2]]] }).graph?.input ?? [];
  if (proto.graph) proto.graph.output = output;
  const bytes = encode(proto);

  const { tensors } = await inventoryOf(bytes);
  const [run] = tensors[0].data?.runs ?? [];
  const keep = [true, false, false, true, false, true];
  zeroVarints(bytes.subarray(run.offset, run.offset + run.byteLength), packMask(keep));

  const session = await InferenceSession.create(bytes);
  try {
    const identity = Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1);
    const { y } = await session.run({ x: new Tensor('float32', identity, [3, 3]) });
    const expected = Float32Array.from(weights, (weight, index) => (keep[index] ? weight : 0));
    assert.deepEqual(y.data, expected);
  } finally {
    await session.release();
  }
});
