import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TensorProto } from '../../../src/formats/onnx/onnx-schema.ts';
import { readStoredModel } from '../../../src/graph/inventory.ts';
import { keptUnits } from '../../../src/structure/families.ts';
import { encode, integers, node } from '../../models/build-model.ts';
import { gaussians } from '../../models/small-model.ts';
import { build } from '../../models/traced-model.ts';
import { writeArray } from '../../runtime/samples.ts';
import { random } from '../../structure/cases/rule-case.ts';
import { pruneFiles } from '../prune-files.ts';

const [INPUTS, HIDDEN, HEADS, WIDTH] = [10, 32, 4, 8];

/** Two layers behind each other; the units of the second lie along two axes of what is stored, or along one. */
function twoLayers(stored: TensorProto) {
  return build({
    inputs: [['x', ['batch', INPUTS]]],
    nodes: [
      node('MatMul', ['x', 'up'], ['h']),
      node('Relu', ['h'], ['r']),
      node('Reshape', ['down', 'flat'], ['w']),
      node('MatMul', ['r', 'w'], ['y']),
    ],
    initializers: [random('up', [INPUTS, HIDDEN]), stored, integers('flat', [-1, HEADS * WIDTH])],
  });
}

test('a weight whose units lie along several axes is repaired as one whose units lie along one', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'emp-units-'));
  t.after(() => rm(directory, { recursive: true }));
  const nSamples = 200;
  const file = await writeArray(
    directory,
    'x',
    'float32',
    [nSamples, INPUTS],
    gaussians(nSamples * INPUTS, 3),
  );
  const calibration = { nSamples, inputs: [{ ...file, name: 'x' }], labels: null };
  const recipe = {
    granularity: 'channel',
    criterion: 'l2_norm',
    budget: { sparsity: 0.5 },
    repair: ['least_squares'],
  };
  const repaired = async (shape: readonly number[]) => {
    const path = join(directory, 'model.onnx');
    await writeFile(path, encode(twoLayers(random('down', shape))));
    await using pruned = await pruneFiles(path, recipe, { calibration });
    assert.deepEqual(
      pruned.report.repair.map(({ n_repaired, left_out }) => [n_repaired, left_out]),
      [[2, []]],
    );
    const { inventory } = await readStoredModel(pruned.directory, ['model.onnx']);
    const run = inventory.tensors.find(({ name }) => name === 'down')?.data?.runs[0] ?? assert.fail();
    const bytes = await readFile(join(pruned.directory, 'model.onnx'));
    return bytes.subarray(run.offset, run.offset + run.byteLength);
  };
  const flat = await repaired([HIDDEN, HEADS * WIDTH]);
  assert.equal(flat.length, 4 * (HIDDEN / 2) * HEADS * WIDTH);
  assert.deepEqual(await repaired([HIDDEN, HEADS, WIDTH]), flat);
});

test('of units along two axes those are left that both leave', () => {
  const shape = [HIDDEN, HEADS, WIDTH];
  const rows = { outer: 1, reduced: HIDDEN, units: HEADS * WIDTH, inner: 1 };
  const tensor = {
    name: 'down',
    shape,
    dtype: 'float32',
    role: 'weight',
    prunable: true,
    data: null,
    rows,
  } as const;
  assert.deepEqual(keptUnits(tensor, [null, [1, 3], [0, 5]]), [8, 13, 24, 29]);
  assert.deepEqual(keptUnits(tensor, [[0], null, [7]]), [7, 15, 23, 31]);
  assert.equal(keptUnits(tensor, [[0], null, null]), null);
  assert.equal(keptUnits({ ...tensor, rows: null }, [[0], null, null]), undefined);
});
