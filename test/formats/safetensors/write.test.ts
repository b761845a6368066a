import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSafetensorsLayout } from '../../../src/formats/safetensors/write.ts';

/** From the tests of the reference implementation (huggingface/safetensors, `test_serialization_forced_alignement`). */
test('writes the bytes that the reference implementation writes', () => {
  const { header, tensors, fileByteLength } = createSafetensorsLayout([
    { name: 'attn0', dtype: 'float32', shape: [1, 1, 2, 3] },
  ]);
  const json = '{"attn0":{"dtype":"F32","shape":[1,1,2,3],"data_offsets":[0,24]}}';
  assert.equal(Buffer.from(header).toString('latin1'), `\x48\0\0\0\0\0\0\0${json.padEnd(72)}`);
  assert.deepEqual(tensors, [
    { name: 'attn0', dtype: 'float32', shape: [1, 1, 2, 3], offset: 80, byteLength: 24 },
  ]);
  assert.equal(fileByteLength, 104);
});

test('no tensors and metadata alone, as the reference implementation writes them', () => {
  assert.equal(Buffer.from(createSafetensorsLayout([]).header.subarray(8)).toString(), '{}      ');
  const { header } = createSafetensorsLayout([], { framework: 'pt' });
  assert.equal(Buffer.from(header.subarray(8)).toString(), '{"__metadata__":{"framework":"pt"}}     ');
});

test('keeps the order given, of names like numbers too', () => {
  const tensors = ['z', '1', '0'].map((name) => ({ name, dtype: 'uint8', shape: [1] }));
  const { header } = createSafetensorsLayout(tensors);
  assert.match(Buffer.from(header).toString(), /"z".*"1".*"0"/);
});

test('refuses what no file can hold', () => {
  const tensor = { name: 'a', dtype: 'uint8', shape: [1] };
  assert.throws(() => createSafetensorsLayout([tensor, tensor]), /taken/);
  assert.throws(() => createSafetensorsLayout([{ ...tensor, name: '__metadata__' }]), /taken/);
  assert.throws(() => createSafetensorsLayout([{ ...tensor, dtype: 'U8' }]), RangeError);
});
