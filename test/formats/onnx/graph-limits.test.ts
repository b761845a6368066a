import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bytesSource } from '../../../src/formats/byte-source.ts';
import { MAX_NAME_BYTES } from '../../../src/formats/onnx/graph-limits.ts';
import { readSkeletonBytes } from '../../../src/formats/onnx/skeleton.ts';
import { field, nest, repeat } from '../../models/wire-bytes.ts';

/** Field numbers of onnx.proto on the way to a name. */
const NAMES: Readonly<Record<string, readonly number[]>> = {
  'ModelProto.producer_name': [2],
  'ModelProto.domain': [4],
  'StringStringEntryProto.key': [14, 1],
  'OperatorSetIdProto.domain': [8, 1],
  'FunctionProto.name': [25, 1],
  'FunctionProto.input': [25, 4],
  'FunctionProto.attribute': [25, 6],
  'GraphProto.name': [7, 2],
  'NodeProto.name': [7, 1, 3],
  'NodeProto.input': [7, 1, 1],
  'NodeProto.output': [7, 1, 2],
  'NodeProto.op_type': [7, 1, 4],
  'NodeProto.domain': [7, 1, 7],
  'NodeProto.overload': [7, 1, 8],
  'AttributeProto.name': [7, 1, 5, 1],
  'AttributeProto.ref_attr_name': [7, 1, 5, 21],
  'TensorProto.name': [7, 5, 8],
  'StringStringEntryProto.value': [7, 5, 13, 2],
  'TensorAnnotation.tensor_name': [7, 14, 1],
  'ValueInfoProto.name': [7, 11, 1],
  'Dimension.dim_param': [7, 11, 2, 1, 2, 1, 2],
  'Opaque.domain': [7, 11, 2, 7, 1],
};

describe('names are refused while the file is walked', () => {
  for (const [name, path] of Object.entries(NAMES)) {
    test(name, async () => {
      const read = (length: number) =>
        readSkeletonBytes(bytesSource(nest(path, 'n'.repeat(length))), 'model.onnx');
      await read(MAX_NAME_BYTES);
      const message = `expected ${name} to have at most 4096 bytes, found 4097`;
      await assert.rejects(read(MAX_NAME_BYTES + 1), {
        code: 'malformed_onnx',
        message: new RegExp(`byte \\d+: ${message}`),
      });
    });
  }

  test('before they are read', async () => {
    const source = bytesSource(nest([7, 1, 3], new Uint8Array(20 * 2 ** 20)));
    let bytesRead = 0;
    const read = (start: number, end: number) => {
      bytesRead += end - start;
      return source.read(start, end);
    };
    await assert.rejects(readSkeletonBytes({ ...source, read }, 'model.onnx'), /at most 4096 bytes/);
    assert.ok(bytesRead < 10_000);
  });

  test('texts are no names', async () => {
    const text = 'text\n'.repeat(10_000);
    const documented = [[6], [7, 10], [7, 1, 6], [7, 5, 12], [14, 2], [7, 1, 9, 2]];
    const bytes = Buffer.concat(documented.map((path) => nest(path, text)));
    await readSkeletonBytes(bytesSource(bytes), 'model.onnx');
  });
});

describe('what a graph consists of is counted before objects are made of it', () => {
  for (const [what, limit, path] of [
    ['nodes', 250_000, [7, 1]],
    ['nodes', 250_000, [25, 7]],
    ['tensors', 250_000, [7, 5]],
    ['tensors', 250_000, [7, 1, 5, 10]],
    ['graphs and functions', 25_000, [7, 1, 5, 11]],
    ['graphs and functions', 25_000, [25]],
    ['inputs and outputs of nodes', 1_500_000, [7, 1, 1]],
    ['inputs and outputs of nodes', 1_500_000, [7, 1, 2]],
  ] as const) {
    test(`${what} by ${path.join('.')}`, async () => {
      const [last] = path.slice(-1);
      const file = (count: number) => nest(path.slice(0, -1), repeat(field(last), count));
      await readSkeletonBytes(bytesSource(file(1000)), 'model.onnx');
      const before = process.memoryUsage().rss;
      await assert.rejects(readSkeletonBytes(bytesSource(file(2_000_000)), 'model.onnx'), {
        code: 'unsupported_model',
        message: new RegExp(`model.onnx holds more than ${limit} ${what} \\(reached at byte \\d+\\)`),
      });
      assert.ok(process.memoryUsage().rss - before < 300 * 2 ** 20);
    });
  }
});
