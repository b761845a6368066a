import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { countKept, unpackMask } from '../../src/core/keep-mask.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { splitSamples } from '../../src/pipeline/split-samples.ts';
import { recipeSchema } from '../../src/recipe/recipe.ts';
import { readNumbers } from '../../src/repair/tensor-edits.ts';
import { reportSchema } from '../../src/report/report.ts';
import { testFolder } from '../criteria/run-criterion.ts';
import { encode } from '../models/build-model.ts';
import { qdq, quantizedPair } from '../models/quantized-models.ts';
import { FORMATS } from '../models/quantized-numbers.ts';
import { writeMlp } from '../models/small-mlp.ts';
import { gaussians } from '../models/small-model.ts';
import { readTensors } from '../models/small-safetensors.ts';
import { writeArray, writePart } from '../runtime/samples.ts';
import { type Pruned, pruneFiles, sha256Of } from './prune-files.ts';

const REPAIR = ['least_squares_masks'];
const LAYERS = [20, 48, 32, 5] as const;
const NAMES = LAYERS.slice(1).map((_, i) => `fc${i}.weight`);

/** The keep mask of each weight, as the artifact has it. */
async function masksOf({ directory }: Pruned): Promise<Uint8Array[]> {
  const tensors = await readTensors(join(directory, 'masks.safetensors'));
  return NAMES.map((name) => tensors.get(name) ?? assert.fail(name));
}

/** How many weights of each unit of a `[in, out]` matrix a mask keeps. */
function countsOf(mask: Uint8Array, layer: number): number[] {
  const [features, units] = [LAYERS[layer], LAYERS[layer + 1]];
  const kept = unpackMask(mask, features * units);
  return Array.from({ length: units }, (_, unit) =>
    Array.from({ length: features }, (_, i) => kept[i * units + unit]).reduce((sum, keep) => sum + keep, 0),
  );
}

describe('a repair that chooses masks', () => {
  let mlp: Awaited<ReturnType<typeof writeMlp>>;
  before(async () => {
    mlp = await writeMlp(LAYERS, 300);
  });
  after(() => mlp[Symbol.asyncDispose]());

  type Options = Parameters<typeof pruneFiles>[2];
  const pruneMlp = (recipe: object, options: Options = {}) =>
    pruneFiles(mlp.path, recipe, { calibration: mlp.samples, evaluation: mlp.samples, ...options });
  const bytesOf = async ({ directory }: Pruned) => ({
    model: await sha256Of(join(directory, 'mlp.onnx')),
    masks: await sha256Of(join(directory, 'masks.safetensors')),
  });
  const inventoryOf = ({ directory }: Pruned) => readStoredModel(directory, ['mlp.onnx']);

  for (const recipe of [
    { beta: 0.3 },
    { beta: 0.3, scope: 'layer' },
    { scope: 'row', budget: { sparsity: 0.8 } },
    { beta: 0.2, min_density: 0.15 },
    { beta: 0.3, criterion: 'wanda' },
  ]) {
    test(`masks and report are of the model that is written: ${JSON.stringify(recipe)}`, async () => {
      await using plain = await pruneMlp(recipe, { calibration: mlp.samples });
      await using fitted = await pruneMlp({ ...recipe, repair: ['least_squares'] });
      await using chosen = await pruneMlp({ ...recipe, repair: REPAIR });
      const { report } = chosen;
      assert.ok(reportSchema.safeParse(report).success);
      const [step] = report.repair;
      assert.ok(step.kept, `${step.loss_before} to ${step.loss_after}`);
      const lossOf = ({ report }: Pruned) => Number(report.evaluation?.pruned.loss);
      assert.ok(lossOf(chosen) < lossOf(fitted), `${lossOf(chosen)}, with the scores' own ${lossOf(fitted)}`);

      const [before, masks] = [await masksOf(plain), await masksOf(chosen)];
      const [dense, model] = [await readStoredModel(mlp.directory, ['mlp.onnx']), await inventoryOf(chosen)];
      let mass = 0;
      for (const [i, name] of NAMES.entries()) {
        const weights = await readNumbers(model, name);
        const kept = unpackMask(masks[i], weights.length);
        assert.deepEqual(
          [...kept],
          [...weights].map((value) => Number(value !== 0)),
        );
        assert.deepEqual(countsOf(masks[i], i), countsOf(before[i], i));
        const tensor = report.tensors[i];
        assert.equal(tensor.n_keep, countKept(masks[i]));
        assert.equal(tensor.mask_sha256, createHash('sha256').update(masks[i]).digest('hex'));
        const scored = unpackMask(before[i], weights.length);
        const moved = step.moved?.find((entry) => entry.name === name);
        assert.equal(moved?.n_moved, kept.filter((keep, at) => keep > scored[at]).length);
        if (recipe.criterion !== 'wanda') {
          const scores = (await readNumbers(dense, name)).map(Math.abs);
          const sum = (values: Float64Array) => values.reduce((total, value) => total + value, 0);
          const own = sum(scores.map((score, at) => score * kept[at]));
          assert.ok(Math.abs(Number(tensor.preserved_mass) / (own / sum(scores)) - 1) < 1e-6);
          mass += own;
        }
        assert.ok(Number(tensor.preserved_mass) < Number(plain.report.tensors[i].preserved_mass));
      }
      const { preserved_mass, preserved_mass_bound, ...total } = report.total;
      assert.ok(preserved_mass < plain.report.total.preserved_mass && (mass > 0 || 'criterion' in recipe));
      assert.equal(preserved_mass_bound, 0, 'nothing is guaranteed of such masks');
      const { preserved_mass: _mass, preserved_mass_bound: _bound, ...plainTotal } = plain.report.total;
      assert.deepEqual(total, plainTotal);
      assert.doesNotMatch(report.verdict.text, /guaranteed/);
      assert.match(report.verdict.text, /; repaired by least_squares_masks \(loss from/);
    });
  }

  test('undone, it leaves masks and model to the byte, and the report without it', async () => {
    await using plain = await pruneMlp({ beta: 1.3 }, { calibration: null });
    const [input] = mlp.samples.inputs;
    const calibration = {
      nSamples: 2,
      inputs: [{ ...input, shape: [2, 20], offset: 80 * 20 }],
      labels: null,
    };
    await using tried = await pruneMlp({ beta: 1.3, repair: REPAIR }, { calibration });
    const [{ kept, problem, moved = [] }] = tried.report.repair;
    assert.deepEqual([kept, problem], [false, 'the model is no better with it']);
    assert.ok(moved.some(({ n_moved }) => n_moved > 0));
    assert.deepEqual(await bytesOf(tried), await bytesOf(plain));
    assert.deepEqual(tried.report.total, plain.report.total);
    assert.deepEqual(tried.report.tensors, plain.report.tensors);
    assert.match(tried.report.verdict.text, /guaranteed: .*; not repaired by least_squares_masks/);
  });

  test('a sweep, a search and a promise choose masks anew for every candidate', async () => {
    await using swept = await pruneMlp({ beta: 0.6, sweep_betas: [0.6, 0.4], repair: REPAIR });
    const { sweep, pruned } = swept.report.evaluation ?? assert.fail();
    assert.equal(sweep[0].loss, pruned.loss);
    await using alone = await pruneMlp({ beta: 0.4, repair: REPAIR });
    assert.equal(sweep[1].loss, alone.report.evaluation?.pruned.loss);
    const { first, second } = splitSamples(300, 1, 1 / 3, 0) ?? assert.fail();
    const apart = {
      calibration: await writePart(mlp.samples, first),
      evaluation: await writePart(mlp.samples, second),
    };
    for (const target of [{ max_relative_l2: 0.5 }, { max_accuracy_drop: 0.25, confidence: 0.8 }]) {
      await using found = await pruneMlp({ target, repair: REPAIR }, apart);
      const model = await inventoryOf(found);
      const masks = await masksOf(found);
      const [{ kept, moved = [] }] = found.report.repair;
      assert.ok(kept && moved.some(({ n_moved }) => n_moved > 0), JSON.stringify(target));
      for (const [i, name] of NAMES.entries()) {
        const weights = await readNumbers(model, name);
        assert.deepEqual(
          [...unpackMask(masks[i], weights.length)],
          [...weights].map((value) => Number(value !== 0)),
        );
      }
    }
  });

  test('the same model and masks for 1, 2 and 3 threads', async () => {
    const found = new Set<string>();
    for (const threads of [1, 2, 3]) {
      await using repaired = await pruneMlp({ beta: 0.4, repair: REPAIR }, { threads, evaluation: null });
      found.add(JSON.stringify(await bytesOf(repaired)));
    }
    assert.equal(found.size, 1);
  });

  test('what a recipe leaves out stays, with its mask of none', async () => {
    await using found = await pruneMlp({ beta: 0.3, exclude: ['fc1.*'], repair: REPAIR });
    assert.deepEqual(
      found.report.repair[0].moved?.map(({ name }) => name),
      ['fc0.weight', 'fc2.weight'],
    );
    const dense = await readStoredModel(mlp.directory, ['mlp.onnx']);
    assert.deepEqual(
      await readNumbers(await inventoryOf(found), 'fc1.weight'),
      await readNumbers(dense, 'fc1.weight'),
    );
  });

  test('quantized weights keep the masks of their scores, by name', async (t) => {
    const directory = await testFolder(t);
    const form = qdq('int8', 17, { format: FORMATS.int8, along: 1, hasZeroPoints: true });
    await writeFile(join(directory, 'model.onnx'), encode(quantizedPair(form).quantized));
    const x = await writeArray(directory, 'x', 'float32', [32, 40], gaussians(32 * 40, 3));
    const calibration = { nSamples: 32, inputs: [x], labels: null };
    const path = join(directory, 'model.onnx');
    await using plain = await pruneFiles(path, {});
    await using tried = await pruneFiles(path, { repair: REPAIR }, { calibration });
    const [{ kept, problem, left_out, moved }] = tried.report.repair;
    assert.deepEqual([kept, left_out.map(({ name }) => name), moved], [false, ['w1', 'w2'], []]);
    assert.match(
      problem ?? '',
      /^there is nothing that it could repair: w1 is read by node DequantizeLinear/,
    );
    for (const file of ['model.onnx', 'masks.safetensors'])
      assert.equal(await sha256Of(join(tried.directory, file)), await sha256Of(join(plain.directory, file)));
  });

  test('structures are told what to do', () => {
    const recipe = { granularity: 'channel', criterion: 'l2_norm', repair: ['bias', ...REPAIR] };
    const { error } = recipeSchema.safeParse(recipe);
    assert.deepEqual(
      error?.issues.map(({ path, message }) => [path, message]),
      [
        [
          ['repair'],
          'least_squares_masks chooses which weights are kept, and a channel goes as a whole: give least_squares',
        ],
      ],
    );
  });
});
