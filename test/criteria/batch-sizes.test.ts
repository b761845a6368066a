import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { CriterionContext } from '../../src/criteria/context.ts';
import type { ArrayFile, SampleSet } from '../../src/formats/sample-set.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { N_SAMPLES, perceptronContext } from '../models/perceptron.ts';
import { empCount, naiveKeep } from '../pipeline/oracle.ts';
import { fixtureSamples } from '../runtime/samples.ts';
import { sharedFixtures } from '../shared.ts';
import { criterionContext, scoresOf, testFolder } from './run-criterion.ts';

const BATCH_SIZES = [1, 7, 64];
/** Of the fixtures' samples: no multiple of a batch size. */
const N_FIXTURE_SAMPLES = 75;
/** Positions of the sequences that llama-tiny's are cut into, so that 64 of them fit into memory. */
const N_POSITIONS = 16;
const CRITERIA = ['taylor', 'saliency'] as const;

/** One mask over all tensors, and the batches that its scores came from. */
async function maskOf(
  criterion: (typeof CRITERIA)[number],
  context: CriterionContext,
  names: readonly string[],
  maxBatchSamples: number,
): Promise<{ keep: boolean[]; batches: number[] }> {
  const batches: number[] = [];
  const onSamples = (count: number) => batches.push(count);
  const scores = await scoresOf(criterion, { ...context, maxBatchSamples, onSamples }, names);
  const all = names.flatMap((name) => Array.from(scores.get(name)!));
  return { keep: naiveKeep(all, empCount(1)), batches };
}

function assertSameMask(found: readonly boolean[], expected: readonly boolean[]): void {
  const [kept, wanted] = [found, expected].map((keep) => keep.filter(Boolean).length);
  assert.ok(Math.abs(kept - wanted) <= 1, `${kept} kept, not ${wanted}`);
  const equal = found.filter((bit, i) => bit === expected[i]).length / expected.length;
  assert.ok(equal >= 0.999, `${100 * equal} % of the bits are equal`);
}

/** The first samples of a fixture's calibration data. */
async function firstSamples(folder: string): Promise<SampleSet> {
  const { inputs, labels } = await fixtureSamples(folder, 'calibration');
  const cut = (array: ArrayFile) => {
    const sizes = folder === 'llama-tiny' ? [N_POSITIONS] : array.shape.slice(1);
    return { ...array, shape: [N_FIXTURE_SAMPLES, ...sizes] };
  };
  return { nSamples: N_FIXTURE_SAMPLES, inputs: inputs.map(cut), labels: labels && cut(labels) };
}

describe('masks by gradients do not depend on the size of batches', () => {
  for (const criterion of CRITERIA) {
    test(`${criterion} of a perceptron`, async (t) => {
      const { model, scratchDirectory, samples } = await perceptronContext(t);
      const context = criterionContext(model, scratchDirectory, samples);
      const masks = [];
      for (const size of BATCH_SIZES) masks.push(await maskOf(criterion, context, ['w1', 'w2'], size));
      assert.deepEqual(
        masks.map(({ batches }) => batches),
        [Array(N_SAMPLES).fill(1), Array(N_SAMPLES / 7).fill(7), [64, N_SAMPLES - 64]],
      );
      for (const { keep } of masks) assert.deepEqual(keep, masks[0].keep);
    });
  }

  const fixtures = sharedFixtures();
  const skip = fixtures === null ? 'the shared fixtures are absent: batch sizes were not compared' : false;
  for (const folder of ['fc2-mnist', 'cnn-fashion', 'llama-tiny']) {
    for (const criterion of CRITERIA) {
      test(`${criterion} of ${folder}`, { skip }, async (t) => {
        const directory = join(fixtures ?? '', folder);
        const { prunable } = JSON.parse(await readFile(join(directory, 'golden.json'), 'utf8'));
        const samples = await firstSamples(folder);
        const model = await readStoredModel(directory, ['model.onnx']);
        const context = criterionContext(model, await testFolder(t), samples);
        const [single, ...others] = BATCH_SIZES;
        const { keep: expected } = await maskOf(criterion, context, Object.keys(prunable), single);
        for (const size of others) {
          const { keep, batches } = await maskOf(criterion, context, Object.keys(prunable), size);
          assert.equal(batches[0], size);
          assertSameMask(keep, expected);
          t.diagnostic(`${size}: ${keep.filter((bit, i) => bit !== expected[i]).length} differ`);
        }
      });
    }
  }
});
