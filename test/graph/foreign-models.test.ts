import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EmpError } from '../../src/core/errors.ts';
import { bytesSource } from '../../src/formats/byte-source.ts';
import { readModelInventory } from '../../src/graph/inventory.ts';
import { encode, floats, model, node } from '../models/build-model.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';

const text = (content: string) => Buffer.from(content, 'latin1');

/** A stored entry of a zip, which is all that a reader of its start sees. */
function zipOf(...names: string[]): Buffer {
  return Buffer.concat(
    names.map((name) => {
      const header = Buffer.alloc(30);
      header.writeUInt32LE(0x04034b50, 0);
      header.writeUInt16LE(name.length, 26);
      return Buffer.concat([header, text(name)]);
    }),
  );
}

const LFS = 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n';
const onnx = encode(
  model({ nodes: [node('MatMul', ['x', 'w'], ['y'])], initializers: [floats('w', [2, 2])], inputs: ['x'] }),
);

async function refusal(files: Record<string, Uint8Array>): Promise<EmpError> {
  const sources = Object.entries(files).map(([name, bytes]) => [name, bytesSource(bytes)] as const);
  try {
    await readModelInventory(new Map(sources));
  } catch (error) {
    assert.ok(error instanceof EmpError, String(error));
    return error;
  }
  throw new Error('was taken for a model');
}

describe('what is sent as a model and is none is named, with what to do', () => {
  for (const [bytes, what, advice] of [
    [text('GGUF\x03\0\0\0'), /a GGUF file of llama\.cpp/, /safetensors checkpoint/],
    [text('\x1c\0\0\0TFL3\x14\0'), /a TensorFlow Lite model/, /tf2onnx/],
    [text('\x18\0\0\0ORTM'), /the ORT format/, /ONNX model/],
    [text('\x89HDF\r\n\x1a\n'), /an HDF5 file, as Keras writes \.h5/, /model\.export/],
    [zipOf('metadata.json', 'config.json', 'model.weights.h5'), /a Keras archive/, /model\.export/],
    [zipOf('net/data.pkl', 'net/code/__torch__.py'), /a TorchScript archive/, /torch\.onnx\.export/],
    [zipOf('archive/data.pkl', 'archive/data/0'), /a PyTorch checkpoint/, /safetensors\.torch\.save_file/],
    [text('\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'), /a pickle/, /torch\.onnx\.export/],
    [text('\x1f\x8b\x08\0'), /a gzip file/, /unpack/],
    [text('\x93NUMPY\x01\0'), /a NumPy array/, /samples, labels or scores/],
  ] as const) {
    test(String(what), async () => {
      for (const name of ['model.onnx', 'model.safetensors', 'model.bin']) {
        const error = await refusal({ [name]: bytes });
        assert.deepEqual([error.code, error.findings[0].path], ['unsupported_model', name]);
        assert.match(error.message, new RegExp(`^${name} is `));
        assert.match(error.message, what);
        assert.match(error.message, advice);
      }
    });
  }

  test('what came in the place of a file: a pointer, a page, an answer, nothing', async () => {
    for (const [bytes, pattern] of [
      [text(LFS), /is a Git LFS pointer.*git lfs pull/],
      [text('<!DOCTYPE html>\n<html lang="en">'), /is an HTML page.*download the file itself/],
      [text('{"error": "Repository not found"}'), /is a JSON text.*download/],
      [text('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'), /is an XML text/],
      [text(''), /is empty/],
    ] as const) {
      for (const [name, code] of [
        ['model.onnx', 'malformed_onnx'],
        ['model.safetensors', 'malformed_safetensors'],
        ['weights.bin', 'unsupported_model'],
      ] as const) {
        const error = await refusal({ [name]: bytes });
        assert.match(error.message, pattern);
        assert.equal(error.code, code);
      }
    }
  });

  test('a model under the name of the other format', async () => {
    assert.match((await refusal({ 'a.safetensors': onnx })).message, /an ONNX model.*ends in \.onnx/);
    const safetensors = createSafetensors({ 'a.weight': [2, 2] });
    assert.match(
      (await refusal({ 'a.onnx': safetensors })).message,
      /a safetensors file.*ends in \.safetensors/,
    );
    assert.match((await refusal({ a: onnx })).message, /an ONNX model.*ends in \.onnx/);
  });

  test('a pointer in the place of external data', async () => {
    const { moveOut } = await import('../models/runtime-model.ts');
    const proto = model({
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
      initializers: [floats('w', [20, 20])],
      inputs: ['x'],
    });
    moveOut(proto, 'weights.bin');
    const error = await refusal({ 'model.onnx': encode(proto), 'weights.bin': text(LFS) });
    assert.match(error.message, /^weights\.bin is a Git LFS pointer/);
  });

  test('a broken model of the right kind is told by its place, as before', async () => {
    const error = await refusal({ 'model.onnx': onnx.subarray(0, onnx.length - 3) });
    assert.match(error.message, /model\.onnx is not a valid ONNX model: byte \d+/);
    assert.match((await refusal({ 'net.pb': text('\x08\x01\x12\x05') })).message, /tf2onnx/);
  });
});
