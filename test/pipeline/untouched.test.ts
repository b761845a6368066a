import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createSafetensorsLayout } from '../../src/formats/safetensors/write.ts';
import { encode, inventoryOf, node } from '../models/build-model.ts';
import { matMulNBits } from '../models/quantized-models.ts';
import { drawNumbers, FORMATS, quantizedTensor } from '../models/quantized-numbers.ts';
import { writeSmallModel } from '../models/small-safetensors.ts';
import { build, type Parts } from '../models/traced-model.ts';
import { random } from '../structure/cases/rule-case.ts';
import { pruneFiles } from './prune-files.ts';

const { int8 } = FORMATS;
/** A float layer of 4 x 10 weights, and something beside it of which nobody knows the scales. */
const LAYER = [node('MatMul', ['x', 'w'], ['h'])];
const WEIGHTS = random('w', [4, 10]);

async function reportOf(t: TestContext, parts: Parts, recipe: object = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'emp-untouched-'));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, 'model.onnx');
  await writeFile(path, encode(build(parts)));
  await using pruned = await pruneFiles(path, recipe);
  return pruned.report;
}

test('weights without a scale that is stored are told, with their share', async (t) => {
  const { untouched, verdict } = await reportOf(t, {
    nodes: [
      ...LAYER,
      node('DynamicQuantizeLinear', ['h'], ['q', 'q_scale', 'q_zero']),
      node('MatMulInteger', ['q', 'packed', 'q_zero'], ['y']),
    ],
    initializers: [WEIGHTS, quantizedTensor('packed', int8, [10, 36], drawNumbers(int8, [10, 36], 1))],
  });
  const tensors = [{ name: 'packed', dtype: 'int8', n: 360 }];
  assert.deepEqual(untouched, { n: 360, share: 0.9, n_tensors: 1, tensors });
  assert.equal(verdict.warnings[0].code, 'partly_reached');
  assert.match(verdict.text, /^90\.0 % of the parameters were out of reach and stay as they are; /);
});

/** A table that is looked up, of 60 numbers beside the layer's 40. */
const LOOKED_UP: Parts = {
  nodes: [node('Gather', ['table', 'ids'], ['g']), ...LAYER, node('MatMul', ['h', 'g'], ['y'])],
  inputs: [
    ['x', ['batch', 4]],
    ['ids', [10], 'INT64'],
  ],
  initializers: [WEIGHTS, random('table', [20, 3])],
};

test('a table that is looked up is out of reach, unless the recipe says that it is to be left out', async (t) => {
  assert.equal((await reportOf(t, LOOKED_UP)).untouched.share, 0.6);
  for (const recipe of [{ exclude: ['table'] }, { include: ['w'] }, { include: ['*'] }]) {
    const { untouched, verdict } = await reportOf(t, LOOKED_UP, recipe);
    assert.deepEqual(untouched, { n: 0, share: 0, n_tensors: 0, tensors: [] });
    assert.ok(!verdict.warnings.some(({ code }) => code === 'partly_reached'));
  }
});

test('vectors are not meant', async (t) => {
  const bias = {
    nodes: [...LAYER, node('Add', ['h', 'b'], ['y'])],
    initializers: [WEIGHTS, random('b', [10])],
  };
  assert.equal((await reportOf(t, bias)).untouched.n, 0);
});

test('scales and zero points of blocks are not meant, and zero points are no parameters', async (t) => {
  const [inputs, hidden, units, block] = [4, 64, 10, 16];
  // Stored as down.weight_scale and down.weight_zero.
  const { nodes, initializers } = matMulNBits(4, block, true, false).layer('down.weight', 'h', 'y', [
    hidden,
    units,
  ]);
  const parts = {
    nodes: [...LAYER, ...nodes],
    initializers: [random('w', [inputs, hidden]), ...initializers],
  };
  const { untouched, total } = await reportOf(t, parts);
  assert.deepEqual(untouched, { n: 0, share: 0, n_tensors: 0, tensors: [] });
  assert.equal(total.n, inputs * hidden + hidden * units);
  const { nParameters } = await inventoryOf(encode(build(parts)));
  assert.equal(nParameters, total.n + (units * hidden) / block);
});

test('of structures what lies in none that can be removed is out of reach', async (t) => {
  const parts: Parts = {
    nodes: [
      node('MatMul', ['x', 'square'], ['s']),
      node('Add', ['x', 's'], ['r']),
      node('MatMul', ['r', 'w'], ['h']),
      node('MatMul', ['h', 'v'], ['y']),
    ],
    initializers: [random('square', [4, 4]), WEIGHTS, random('v', [10, 3])],
  };
  const recipe = { granularity: 'channel', criterion: 'l2_norm', round_to: 1 };
  const { untouched } = await reportOf(t, parts, recipe);
  assert.deepEqual(untouched.tensors, [{ name: 'square', dtype: 'float32', n: 16 }]);
  assert.equal(untouched.share, 16 / 86);
});

test('packed integers of a checkpoint are out of reach', async () => {
  const values = Array.from({ length: 16 }, (_, i) => i);
  await using small = await writeSmallModel([{ name: 'up.weight', dtype: 'float32', shape: [4, 4], values }]);
  const layout = createSafetensorsLayout([
    { name: 'down.qweight', dtype: 'int32', shape: [8, 6] },
    { name: 'up.weight', dtype: 'float32', shape: [4, 4] },
  ]);
  const bytes = new Uint8Array(layout.fileByteLength);
  bytes.set(layout.header);
  bytes.set(new Uint8Array(Float32Array.from(values).buffer), layout.tensors[1].offset);
  await writeFile(small.path, bytes);
  await using pruned = await pruneFiles(small.path, {});
  assert.equal(pruned.report.untouched.share, 48 / 64);
});
