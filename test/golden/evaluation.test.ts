import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { makeScratchFolder } from '../../src/formats/scratch-folder.ts';
import { splitSamples } from '../../src/pipeline/split-samples.ts';
import { pruneFiles } from '../pipeline/prune-files.ts';
import { fixtureSamples, writePart } from '../runtime/samples.ts';
import { sharedFixtures } from '../shared.ts';

const MODELS = ['fc2-mnist', 'fc5-fashion', 'cnn-fashion', 'kan-mnist', 'llama-tiny'];
const fixtures = sharedFixtures();

interface Golden {
  prunable: Record<string, number[]>;
  dense: Figures;
  magnitude: GoldenPruning[];
  wanda?: GoldenPruning[];
}
interface Figures {
  loss: number;
  accuracy: number;
}
interface GoldenPruning {
  scope: 'global' | 'layer' | 'row';
  beta: number;
  total: { n: number; n_keep: number; sparsity: number };
  pruned_loss: number;
  pruned_accuracy: number;
  tensors: Record<string, { n: number; n_keep: number; mask_sha256: string }>;
}

/** Loss to 1e-4, accuracy to a tenth of a point. */
function assertFigures(
  actual: { loss: number | null; accuracy: number | null },
  { loss, accuracy }: Figures,
  what: string,
): void {
  assert.ok(actual.loss !== null && actual.accuracy !== null, what);
  assert.ok(Math.abs(actual.loss / loss - 1) < 1e-4, `${what}: loss ${actual.loss}, expected ${loss}`);
  assert.ok(Math.abs(actual.accuracy - accuracy) < 1e-3, `${what}: ${actual.accuracy}, expected ${accuracy}`);
}

describe('losses and accuracies of independent code', () => {
  for (const model of MODELS) {
    for (const criterion of ['magnitude', 'wanda'] as const) {
      test(`${model}, ${criterion}`, async (t) => {
        if (!fixtures) return t.skip('golden check did not run: ../shared/fixtures is not here');
        const golden: Golden = JSON.parse(await readFile(join(fixtures, model, 'golden.json'), 'utf8'));
        const prunings = golden[criterion];
        if (!prunings) return t.diagnostic(`no golden prunings by ${criterion}`);
        const evaluation = await fixtureSamples(model, 'eval');
        const calibration = criterion === 'wanda' ? await fixtureSamples(model, 'calibration') : null;
        for (const scope of new Set(prunings.map((pruning) => pruning.scope))) {
          const expected = prunings.filter((pruning) => pruning.scope === scope);
          const sweep_betas = expected.map(({ beta }) => beta);
          const recipe = { criterion, scope, sweep_betas, include: Object.keys(golden.prunable) };
          await using pruned = await pruneFiles(join(fixtures, model, 'model.onnx'), recipe, {
            evaluation,
            calibration,
          });
          const { report } = pruned;
          assert.ok(report.evaluation);
          assertFigures(report.evaluation.dense, golden.dense, 'dense');
          for (const [i, { beta, total, pruned_loss, pruned_accuracy, tensors }] of expected.entries()) {
            const what = `${scope} at beta ${beta}`;
            const point = report.evaluation.sweep[i];
            assertFigures(point, { loss: pruned_loss, accuracy: pruned_accuracy }, what);
            // Wanda's norms are sums of floats.
            assert.ok(Math.abs(point.sparsity - total.sparsity) <= 1e-4 * (1 - total.sparsity), what);
            if (beta !== 1) continue;
            assertFigures(report.evaluation.pruned, { loss: pruned_loss, accuracy: pruned_accuracy }, what);
            let equal = 0;
            for (const [name, { n_keep, mask_sha256 }] of Object.entries(tensors)) {
              const tensor = report.tensors.find((candidate) => candidate.name === name);
              assert.ok(tensor && Math.abs(tensor.n_keep - n_keep) <= 1e-4 * n_keep, `${what}: ${name}`);
              equal += Number(tensor.mask_sha256 === mask_sha256);
            }
            // Another CPU may sum floats in another order, and a weight right at its threshold fall to the other side.
            const masks = Object.keys(tensors).length;
            assert.ok(equal >= 0.9 * masks, `${what}: ${equal} of ${masks} masks are equal`);
          }
        }
      });
    }
  }
});

describe('the search against a fine grid', () => {
  for (const [criterion, scope] of [
    ['magnitude', 'global'],
    ['wanda', 'row'],
  ]) {
    test(`fc2-mnist, ${criterion}, scope ${scope}: within 2 points of sparsity of the best of 200 betas`, async (t) => {
      if (!fixtures) return t.skip('golden check did not run: ../shared/fixtures is not here');
      const path = join(fixtures, 'fc2-mnist', 'model.onnx');
      const evaluation = await fixtureSamples('fc2-mnist', 'eval');
      const calibration = criterion === 'wanda' ? await fixtureSamples('fc2-mnist', 'calibration') : null;
      const target = { max_loss_increase: 0.01 };
      await using found = await pruneFiles(path, { criterion, scope, target }, { evaluation, calibration });
      const { search } = found.report.evaluation ?? assert.fail();
      assert.ok(search?.found && search.evaluations.length < 14);
      const limit = 1.01 * Number(search.dense.loss);
      const { first: places } = splitSamples(evaluation.nSamples, 1, 1 / 2, 0) ?? assert.fail();
      await using folder = await makeScratchFolder(tmpdir(), 'emp-grid-');
      const searched = await writePart(evaluation, places, folder.path);
      let best = 0;
      // Betas of evenly spaced densities, as many in each job as a sweep may have.
      const betaAt = (density: number) => density / (1 - search.evaluations[0].sparsity);
      for (let first = 0; first < 200; first += 20) {
        const sweep_betas = Array.from({ length: 20 }, (_, i) => betaAt((first + i + 1) / 200));
        const data = { evaluation: searched, calibration };
        await using grid = await pruneFiles(path, { criterion, scope, sweep_betas }, data);
        for (const point of grid.report.evaluation?.sweep ?? []) {
          const { loss, sparsity, loss_increase_standard_error: error } = point;
          if (loss !== null && loss + Number(error) <= limit) best = Math.max(best, sparsity);
        }
      }
      assert.ok(
        best > 0 && found.report.total.sparsity > best - 0.02,
        `${found.report.total.sparsity}, ${best}`,
      );
    });
  }
});

describe('masks by gradients of independent code', () => {
  for (const model of MODELS) {
    test(model, async (t) => {
      if (!fixtures) return t.skip('golden check did not run: ../shared/fixtures is not here');
      const golden = JSON.parse(await readFile(join(fixtures, model, 'golden.json'), 'utf8'));
      const calibration = await fixtureSamples(model, 'calibration');
      const include = Object.keys(golden.prunable);
      for (const criterion of ['taylor', 'saliency']) {
        let [equal, masks] = [0, 0];
        for (const { scope, beta, total, tensors } of (golden[criterion] ?? []) as GoldenPruning[]) {
          const recipe = { criterion, scope, beta, include };
          await using pruned = await pruneFiles(join(fixtures, model, 'model.onnx'), recipe, { calibration });
          // A float32 pass differs from the oracle's float64 by up to 1e-4, which may move a count by one.
          assert.ok(Math.abs(pruned.report.total.n_keep - total.n_keep) <= 1, criterion);
          for (const [name, expected] of Object.entries(tensors ?? {})) {
            const tensor = pruned.report.tensors.find((candidate) => candidate.name === name);
            assert.ok(tensor && Math.abs(tensor.n_keep - expected.n_keep) <= 1, `${criterion}: ${name}`);
            equal += Number(tensor.mask_sha256 === expected.mask_sha256);
            masks++;
          }
        }
        t.diagnostic(`${criterion}: ${equal} of ${masks} masks equal to the last bit`);
        assert.ok(equal >= masks / 2, `${criterion}: ${equal} of ${masks} masks are equal`);
      }
    });
  }
});
