import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { ModelProto } from '../../../src/formats/onnx/onnx-schema.ts';
import { readStoredModel } from '../../../src/graph/inventory.ts';
import { encode } from '../../models/build-model.ts';
import { matMulNBits, quantizedPair } from '../../models/quantized-models.ts';
import { assertScores, gaussians } from '../../models/small-model.ts';
import { writeArray } from '../../runtime/samples.ts';
import { criterionContext, testFolder } from '../run-criterion.ts';
import { each, scoreFamilies } from './scored-families.ts';

const [HIDDEN, BLOCK, INPUTS, N] = [64, 16, 40, 32];
/** Of sums of float32 activations, and of products that two kernels form. */
const TOLERANCE = 1e-4;

async function hiddenScores(t: TestContext, proto: ModelProto, criterion: 'wanda' | 'variance') {
  const folder = await testFolder(t);
  await writeFile(join(folder, 'model.onnx'), encode(proto));
  const x = await writeArray(folder, 'x', 'float32', [N, INPUTS], gaussians(N * INPUTS, 3));
  const model = await readStoredModel(folder, ['model.onnx']);
  const context = criterionContext(model, folder, { nSamples: N, inputs: [x], labels: null });
  return (
    (await scoreFamilies(criterion, context, ({ name }) => name === 'w1')).get('w1') ?? new Float64Array()
  );
}

describe('units that MatMulNBits reads in whole blocks score as the same units of floats together', () => {
  for (const hasZeroPoints of [false, true]) {
    for (const criterion of ['wanda', 'variance'] as const) {
      test(`${criterion}, ${hasZeroPoints ? 'with' : 'without'} zero points`, async (t) => {
        const { quantized, dense } = quantizedPair(matMulNBits(4, BLOCK, hasZeroPoints), HIDDEN);
        const own = await hiddenScores(t, quantized, criterion);
        const floats = await hiddenScores(t, dense, criterion);
        assert.equal(floats.length, HIDDEN);
        const size = HIDDEN / own.length;
        const together = each(own.length, (block) => {
          const units = floats.subarray(block * size, (block + 1) * size);
          return criterion === 'variance'
            ? units.reduce((sum, score) => sum + score, 0)
            : Math.hypot(...units);
        });
        assert.ok(own.length > 1);
        assertScores(own, together, TOLERANCE);
      });
    }
  }
});
