import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { unpackMask } from '../../src/core/keep-mask.ts';
import type { SampleSet } from '../../src/formats/sample-set.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { splitSamples } from '../../src/pipeline/split-samples.ts';
import { recipeSchema } from '../../src/recipe/recipe.ts';
import { readNumbers } from '../../src/repair/tensor-edits.ts';
import { writeMlp } from '../models/small-mlp.ts';
import { multiply } from '../models/small-model.ts';
import { readTensors } from '../models/small-safetensors.ts';
import { writePart } from '../runtime/samples.ts';
import { type Pruned, pruneFiles, sha256Of } from './prune-files.ts';

const LAYERS = [20, 48, 32, 5] as const;
const NAMES = LAYERS.slice(1).map((_, i) => `fc${i}.weight`);
const N = 1000;

describe('a repair that exchanges weights', () => {
  let mlp: Awaited<ReturnType<typeof writeMlp>>;
  let parts: { calibration: SampleSet; evaluation: SampleSet };
  before(async () => {
    mlp = await writeMlp(LAYERS, 2 * N);
    const { first, second } = splitSamples(2 * N, 1, 1 / 2, 0) ?? assert.fail();
    parts = {
      calibration: await writePart(mlp.samples, first),
      evaluation: await writePart(mlp.samples, second),
    };
  });
  after(() => mlp[Symbol.asyncDispose]());

  const weightsOf = async (directory: string) => {
    const model = await readStoredModel(directory, ['mlp.onnx']);
    return await Promise.all(NAMES.map((name) => readNumbers(model, name)));
  };
  const masksOf = async ({ directory }: Pruned) => {
    const tensors = await readTensors(join(directory, 'masks.safetensors'));
    return NAMES.map((name, i) =>
      unpackMask(tensors.get(name) ?? assert.fail(name), LAYERS[i] * LAYERS[i + 1]),
    );
  };
  const countsOf = (mask: Uint8Array, units: number) =>
    Array.from(
      { length: units },
      (_, unit) => mask.filter((keep, i) => keep === 1 && i % units === unit).length,
    );

  /** `|X (w - w')|^2 / |X w|^2` of each layer, X what comes into the dense one of samples that nothing was fitted to. */
  async function layerErrors(dense: readonly Float64Array[], pruned: readonly Float64Array[]) {
    const [{ path, offset }] = parts.evaluation.inputs;
    const bytes = (await readFile(path)).subarray(offset, offset + 4 * N * LAYERS[0]);
    let x: number[] = [...new Float32Array(Uint8Array.from(bytes).buffer)];
    const norm = (values: readonly number[]) => values.reduce((sum, value) => sum + value * value, 0);
    return dense.map((weights, i) => {
      const shape: [number, number, number] = [N, LAYERS[i], LAYERS[i + 1]];
      const y = multiply(x, weights, shape);
      const lost = multiply(
        x,
        weights.map((value, at) => value - pruned[i][at]),
        shape,
      );
      x = y.map((value) => Math.max(0, value));
      return norm(lost) / norm(y);
    });
  }

  for (const recipe of [{ beta: 0.5 }, { scope: 'row', budget: { sparsity: 0.6 } }, { criterion: 'wanda' }]) {
    test(`changes no value, and brings held-out outputs nearer: ${JSON.stringify(recipe)}`, async () => {
      await using plain = await pruneFiles(mlp.path, recipe, parts);
      await using swapped = await pruneFiles(mlp.path, { ...recipe, repair: ['swaps'] }, parts);
      const [step] = swapped.report.repair;
      assert.ok(step.kept, `${step.loss_before} to ${step.loss_after}`);
      const dense = await weightsOf(mlp.directory);
      const [before, after] = [await weightsOf(plain.directory), await weightsOf(swapped.directory)];
      const [scored, masks] = [await masksOf(plain), await masksOf(swapped)];
      for (const [i, mask] of masks.entries()) {
        const [name, units] = [NAMES[i], LAYERS[i + 1]];
        assert.deepEqual(
          after[i],
          dense[i].map((value, at) => (mask[at] === 1 ? value : 0)),
        );
        assert.ok(mask.every((keep, at) => keep === Number(after[i][at] !== 0)));
        assert.deepEqual(countsOf(mask, units), countsOf(scored[i], units));
        const packed = (await readTensors(join(swapped.directory, 'masks.safetensors'))).get(name);
        const sha256 = createHash('sha256')
          .update(packed ?? '')
          .digest('hex');
        assert.equal(swapped.report.tensors[i].mask_sha256, sha256);
        const moved = mask.filter((keep, at) => keep > scored[i][at]).length;
        assert.deepEqual(step.moved?.[i], { name, n_moved: moved });
      }
      const [worse, better] = [await layerErrors(dense, before), await layerErrors(dense, after)];
      // What comes into the first layer is noise, where magnitude is as good as any choice.
      for (const i of [1, 2]) assert.ok(better[i] < worse[i], `${NAMES[i]}: ${worse[i]} to ${better[i]}`);
      assert.equal(swapped.report.total.preserved_mass_bound, 0);
    });
  }

  test('comes before a fit, which keeps its masks', async () => {
    const recipe = { beta: 0.4 };
    await using alone = await pruneFiles(mlp.path, { ...recipe, repair: ['swaps'] }, parts);
    await using both = await pruneFiles(mlp.path, { ...recipe, repair: ['swaps', 'least_squares'] }, parts);
    assert.deepEqual(
      both.report.repair.map(({ name, kept }) => [name, kept]),
      [
        ['swaps', true],
        ['least_squares', true],
      ],
    );
    assert.deepEqual(await masksOf(both), await masksOf(alone));
    assert.notDeepEqual(await weightsOf(both.directory), await weightsOf(alone.directory));
  });

  test('the same model and masks for 1, 2 and 3 threads', async () => {
    const found = new Set<string>();
    for (const threads of [1, 2, 3]) {
      const options = { calibration: parts.calibration, threads };
      await using repaired = await pruneFiles(mlp.path, { beta: 0.4, repair: ['swaps'] }, options);
      const files = ['mlp.onnx', 'masks.safetensors'].map((file) => join(repaired.directory, file));
      found.add((await Promise.all(files.map(sha256Of))).join());
    }
    assert.equal(found.size, 1);
  });

  test('is refused where others would undo it, or it them', () => {
    const issueOf = (repair: string[], further: object = {}) =>
      recipeSchema
        .safeParse({ repair, ...further })
        .error?.issues.map(({ path, message }) => [path.join(), message]);
    for (const fit of ['least_squares', 'channel_variance'])
      assert.deepEqual(issueOf(['batch_norm', fit, 'swaps']), [
        [
          'repair',
          `swaps keeps the dense model's values, and would bring them back behind ${fit}: give it before ${fit}`,
        ],
      ]);
    for (const both of [
      ['swaps', 'least_squares_masks'],
      ['least_squares_masks', 'swaps'],
    ])
      assert.deepEqual(issueOf(both), [
        [
          'repair',
          `${both.join(' and ')} each choose which weights are kept, and only the last choice would stand: give one of them`,
        ],
      ]);
    assert.deepEqual(issueOf(['swaps'], { granularity: 'channel', criterion: 'l2_norm' }), [
      ['repair', 'swaps chooses which weights are kept, and a channel goes as a whole: give least_squares'],
    ]);
    for (const fine of [
      ['swaps', 'batch_norm'],
      ['bias', 'swaps', 'least_squares'],
      ['least_squares', 'least_squares_masks'],
    ])
      assert.equal(issueOf(fine), undefined);
  });
});
