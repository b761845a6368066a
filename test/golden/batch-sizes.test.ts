import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { ArrayFile, SampleSet } from '../../src/formats/sample-set.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { assertSameMask, GRADIENT_CRITERIA, maskOf } from '../criteria/batched-masks.ts';
import { criterionContext, testFolder } from '../criteria/run-criterion.ts';
import { fixtureSamples } from '../runtime/samples.ts';
import { sharedFixtures } from '../shared.ts';

const BATCH_SIZES = [1, 7, 64];
/** Of the fixtures' samples: no multiple of a batch size. */
const N_FIXTURE_SAMPLES = 75;
/** Positions of the sequences that llama-tiny's are cut into, so that 64 of them fit into memory. */
const N_POSITIONS = 16;

/** The first samples of a fixture's calibration data. */
async function firstSamples(folder: string): Promise<SampleSet> {
  const { inputs, labels } = await fixtureSamples(folder, 'calibration');
  const cut = (array: ArrayFile) => {
    const sizes = folder === 'llama-tiny' ? [N_POSITIONS] : array.shape.slice(1);
    return { ...array, shape: [N_FIXTURE_SAMPLES, ...sizes] };
  };
  return { nSamples: N_FIXTURE_SAMPLES, inputs: inputs.map(cut), labels: labels && cut(labels) };
}

const fixtures = sharedFixtures();
const skip = fixtures === null ? 'the shared fixtures are absent: batch sizes were not compared' : false;

describe('masks of trained networks by gradients do not depend on the size of batches', { skip }, () => {
  for (const folder of ['fc2-mnist', 'cnn-fashion', 'llama-tiny']) {
    for (const criterion of GRADIENT_CRITERIA) {
      test(`${criterion} of ${folder}`, async (t) => {
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
