import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { estimateTrace } from '../../src/autodiff/curvature.ts';
import type { GradientContext } from '../../src/autodiff/gradient-setup.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { RUNTIME, testFolder } from '../criteria/run-criterion.ts';
import { fixtureSamples } from '../runtime/samples.ts';
import { sharedFixtures } from '../shared.ts';

const fixtures = sharedFixtures();
const skip =
  fixtures === null ? "the shared fixtures are absent: v' H v was not compared with PyTorch" : false;

describe("v' H v against float64 double backward in PyTorch", { skip }, () => {
  for (const folder of ['fc2-mnist', 'cnn-fashion']) {
    test(folder, async (t) => {
      const reference = JSON.parse(
        await readFile(new URL('curvature-reference.json', import.meta.url), 'utf8'),
      );
      const samples = await fixtureSamples(folder, 'calibration');
      const { labels: classIds } = samples;
      assert.ok(classIds);
      const expected: number[] = reference[folder].products;
      const context: GradientContext = {
        model: await readStoredModel(join(fixtures ?? '', folder), ['model.onnx']),
        scratchDirectory: await testFolder(t),
        samples: { ...samples, labels: classIds },
        runtime: RUNTIME,
        signal: new AbortController().signal,
        onSamples: () => {},
      };
      const { products } = await estimateTrace(
        reference[folder].weights,
        expected.length,
        context,
        reference.seed,
      );
      for (const [i, product] of products.entries()) {
        const error = Math.abs(product / expected[i] - 1);
        assert.ok(error < 1e-4, `${product}, PyTorch ${expected[i]}: ${error.toExponential(1)}`);
      }
    });
  }
});
