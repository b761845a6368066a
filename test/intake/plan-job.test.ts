import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { EmpError, type InputFinding } from '../../src/core/errors.ts';
import type { SampleSet } from '../../src/formats/sample-set.ts';
import { type JobInputs, planJob } from '../../src/intake/plan-job.ts';
import { recipeSchema } from '../../src/recipe/recipe.ts';
import { encode, floats, model, node } from '../models/build-model.ts';
import { inventoryOf } from '../pipeline/prune-files.ts';

const NOTHING = { scores: null, calibration: null, selection: null, evaluation: null };

let directory = '';
let inputs: JobInputs;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emp-plan-'));
  const graph = model({
    nodes: [node('MatMul', ['x', 'w'], ['h']), node('Fancy', ['h'], ['y'], {}, 'com.example')],
    initializers: [floats('w', [4, 3])],
    inputs: [['x', [2, 4]]],
    outputs: [['y', [2, 3]]],
  });
  await writeFile(join(directory, 'm.onnx'), encode(graph));
  const inventory = await inventoryOf(directory, ['m.onnx']);
  inputs = { model: { id: 'mdl', inventory, directory }, ...NOTHING };
});
after(() => rm(directory, { recursive: true }));

function samples(shape: number[], labels = false): { id: string; content: SampleSet } {
  const array = { name: 'x', dtype: 'float32', shape, path: 'inputs/0', offset: 128 };
  return {
    id: 'dat',
    content: { nSamples: shape[0], inputs: [array], labels: labels ? { ...array, name: 'y' } : null },
  };
}

const plan = (recipe: object, given: Partial<JobInputs> = {}) =>
  planJob(recipeSchema.parse(recipe), { ...inputs, ...given }, null);

async function findingsOf(planned: Promise<unknown>): Promise<readonly InputFinding[]> {
  const error = await planned.then(
    () => assert.fail('it was planned'),
    (reason) => reason,
  );
  assert.ok(error instanceof EmpError, String(error));
  return error.findings;
}

describe('a plan', () => {
  test('is the request that can be queued', async () => {
    const calibration = samples([4, 4]);
    const recipe = recipeSchema.parse({ criterion: 'wanda' });
    assert.deepEqual(await plan({ criterion: 'wanda' }, { calibration }), {
      model_id: 'mdl',
      scores_dataset_id: null,
      calibration_dataset_id: 'dat',
      evaluation_dataset_id: null,
      recipe,
      // It computes with calibration data.
      lane: 'long',
    });
  });

  test('names data that the recipe has no use for, and does not look at them', async () => {
    const scores = { id: 'sco', content: [] };
    const misfits = samples([4, 9, 9]);
    const planned = await plan({}, { scores, calibration: misfits, selection: misfits });
    assert.deepEqual([planned.scores_dataset_id, planned.calibration_dataset_id], ['sco', 'dat']);
    assert.equal(planned.selection_dataset_id, 'dat');
  });

  test('takes a repair that will find nothing', async () => {
    await plan({ repair: ['batch_norm'] }, { calibration: samples([4, 4]) });
  });
});

describe('no plan is made, in words of the job,', () => {
  test('of data that do not fit the model', async () => {
    for (const input of ['calibration', 'selection', 'evaluation'] as const) {
      const fitting = { calibration: samples([4, 4]), evaluation: samples([4, 4]) };
      const recipe = { criterion: 'wanda', target: { max_relative_l2: 0.1 } };
      const [{ path, message, input: about }] = await findingsOf(
        plan(recipe, { ...fitting, [input]: samples([4, 5]) }),
      );
      assert.deepEqual([path, about], [input, input]);
      assert.match(message, /^input "x" has shape \[4, 5\]: expected 4 on axis 1/);
    }
  });

  test('of scores that do not fit', async () => {
    const scores = { id: 'sco', content: [] };
    assert.deepEqual(await findingsOf(plan({ criterion: 'scores' }, { scores })), [
      { path: 'scores', message: 'expected an array w of shape [4,3]', input: 'scores' },
    ]);
  });

  test('of gradients past an operator without a rule', async () => {
    const calibration = samples([4, 4], true);
    const [{ message, input }] = await findingsOf(plan({ criterion: 'taylor' }, { calibration }));
    assert.equal(message, 'Fancy of com.example has no gradient rule');
    assert.equal(input, undefined);
  });

  test('of a model without what the criterion looks at', async () => {
    const structures = { granularity: 'channel', criterion: 'bn_gamma' };
    const reason = 'the model has no BatchNormalization; most exports fold it into the convolutions';
    assert.deepEqual(await findingsOf(plan(structures)), [
      { path: '/recipe/criterion', message: `is bn_gamma, and ${reason}` },
      { path: 'model', message: reason, input: 'model' },
    ]);
  });

  test('of a model too old to be looked into', async () => {
    const old = model({
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
      initializers: [floats('w', [4, 3])],
      inputs: [['x', [2, 4]]],
      outputs: [['y', [2, 3]]],
    });
    for (const version of [5n, null]) {
      old.opsetImport = old.opsetImport.flatMap((own) => (version ? [{ ...own, version }] : []));
      await writeFile(join(directory, 'old.onnx'), encode(old));
      const inventory = await inventoryOf(directory, ['old.onnx']);
      const given = { model: { id: 'old', inventory, directory }, calibration: samples([4, 4]) };
      const structures = { granularity: 'channel', criterion: 'activation' };
      for (const recipe of [{ criterion: 'wanda' }, { repair: ['bias'] }, structures]) {
        const [{ path, message }] = await findingsOf(plan(recipe, given));
        assert.equal(path, 'model');
        assert.match(message, new RegExp(`operators of version ${version ?? 1}, and .* from version 6 on$`));
      }
      await plan({ repair: ['batch_norm'] }, given);
    }
  });

  test('of globs that match nothing, and of a file named like the job’s own', async () => {
    const [{ path }] = await findingsOf(plan({ include: ['nothing*'] }));
    assert.equal(path, '/recipe/include/0');
    const { model: stored } = inputs;
    const inventory = { ...stored.inventory, files: ['report.json'] };
    const [{ path: file }] = await findingsOf(plan({}, { model: { ...stored, inventory } }));
    assert.equal(file, 'report.json');
  });
});
