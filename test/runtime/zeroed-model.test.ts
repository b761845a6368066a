import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from '../../src/formats/onnx/onnx-schema.ts';
import { readOnnxModel } from '../../src/graph/onnx-inventory.ts';
import { createZeroedModel } from '../../src/runtime/zeroed-model.ts';
import { floats, graph, node } from '../models/build-model.ts';
import { build, filesOf, NEVER } from '../models/traced-model.ts';

/** Megabytes of weights in initializers and Constant nodes, of the main graph and of branches. */
const branch = () =>
  graph({
    nodes: [
      node('Constant', [], ['k'], { value: floats('', [4, 300, 300]) }),
      node('MatMul', ['x', 'inner'], ['m']),
      node('MatMul', ['m', 'k'], ['r']),
    ],
    initializers: [floats('inner', [4, 300])],
    outputs: ['r'],
  });
const parts = {
  nodes: [
    node('Constant', [], ['c'], { value: floats('', [300, 300]) }),
    node('If', ['yes'], ['h'], { then_branch: branch(), else_branch: branch() }),
    node('MatMul', ['h', 'c'], ['m']),
    node('Add', ['m', 'w'], ['a']),
    node('Mul', ['a', 'scale'], ['y']),
  ],
  initializers: [
    floats('w', [300, 300]),
    floats('scale', [64]),
    Object.assign(floats('yes', []), { dataType: 9, rawData: Uint8Array.of(1) }),
  ],
};

async function zeroedModel(opset: number) {
  const proto = build({ ...parts, opset });
  const files = filesOf(proto);
  const found = await createZeroedModel(await readOnnxModel(files), files, NEVER);
  const byteLength = toBinary(ModelProtoSchema, found.proto).byteLength;
  return { ...found, byteLength, originalByteLength: toBinary(ModelProtoSchema, proto).byteLength };
}

test('a model of megabytes becomes one of kilobytes', async () => {
  const { byteLength, originalByteLength, zeroed, stored } = await zeroedModel(17);
  assert.ok(originalByteLength > 2 ** 20);
  assert.ok(byteLength < 4096, `${byteLength} bytes`);
  assert.deepEqual([...zeroed].sort(), ['c', 'h', 'w']);
  assert.deepEqual([...stored.keys()].sort(), ['c', 'scale', 'w', 'yes']);
});

test('before opset 9 a model keeps its weights', async () => {
  const { byteLength, originalByteLength, zeroed } = await zeroedModel(8);
  assert.ok(Math.abs(byteLength - originalByteLength) < 1000);
  assert.deepEqual(zeroed, []);
});
