import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { encode } from '../models/build-model.ts';
import { FUSED_PAIRS } from '../models/fused-models.ts';
import { N_FUSED_SAMPLES, writeFusedSamples } from '../models/fused-samples.ts';
import { N_SAMPLES, perceptronContext } from '../models/perceptron.ts';
import { assertSameMask, GRADIENT_CRITERIA, maskOf } from './batched-masks.ts';
import { criterionContext, testFolder } from './run-criterion.ts';

const BATCH_SIZES = [1, 7, 64];

/** Trained networks are compared by `npm run check:goldens`. */
describe('masks by gradients do not depend on the size of batches', () => {
  for (const criterion of GRADIENT_CRITERIA) {
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

    for (const pair of FUSED_PAIRS)
      test(`${criterion}: ${pair.name}`, async (t) => {
        const folder = await testFolder(t);
        await writeFile(join(folder, 'model.onnx'), encode(pair.plain));
        const model = await readStoredModel(folder, ['model.onnx']);
        const { tensors } = model.inventory;
        const names = tensors.filter(({ role }) => role === 'weight').map(({ name }) => name);
        const context = criterionContext(model, folder, await writeFusedSamples(folder, pair));
        const { keep: expected } = await maskOf(criterion, context, names, 1);
        for (const size of [7, N_FUSED_SAMPLES]) {
          const { keep, batches } = await maskOf(criterion, context, names, size);
          assert.equal(batches[0], size);
          assertSameMask(keep, expected);
        }
      });
  }
});
