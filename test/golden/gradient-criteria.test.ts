import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { criterionContext, scoresOf, testFolder } from '../criteria/run-criterion.ts';
import { empCount, naiveKeep } from '../pipeline/oracle.ts';
import { fixtureSamples } from '../runtime/samples.ts';
import { sharedFixtures } from '../shared.ts';

interface GoldenPruning {
  readonly scope: string;
  readonly beta: number;
  readonly total: { readonly n_keep: number };
  readonly tensors: Record<
    string,
    { readonly n: number; readonly n_keep: number; readonly mask_sha256: string }
  >;
  readonly score_sums: Record<string, number>;
}

interface Golden {
  readonly prunable: Record<string, number[]>;
  readonly taylor: readonly GoldenPruning[];
  readonly saliency: readonly GoldenPruning[];
}

function maskHash(keep: readonly boolean[]): string {
  const mask = new Uint8Array(Math.ceil(keep.length / 8));
  for (const [i, kept] of keep.entries()) mask[i >> 3] |= Number(kept) << (i & 7);
  return createHash('sha256').update(mask).digest('hex');
}

const fixtures = sharedFixtures();
const skip = fixtures === null ? 'the shared fixtures are absent: golden gradients were not compared' : false;

describe('taylor and saliency against the golden figures', { skip }, () => {
  for (const folder of ['fc2-mnist', 'fc5-fashion', 'cnn-fashion', 'llama-tiny']) {
    for (const criterion of ['taylor', 'saliency'] as const) {
      test(`${criterion} of ${folder}`, async (t) => {
        const directory = join(fixtures ?? '', folder);
        const golden: Golden = JSON.parse(await readFile(join(directory, 'golden.json'), 'utf8'));
        const names = Object.keys(golden.prunable);
        const samples = await fixtureSamples(folder, 'calibration');
        const model = await readStoredModel(directory, ['model.onnx']);
        const context = criterionContext(model, await testFolder(t), samples);
        for (const name of names) {
          const stored = context.model.inventory.tensors.find((tensor) => tensor.name === name);
          assert.deepEqual(stored?.shape, golden.prunable[name], 'stored as PyTorch does');
        }
        const scores = await scoresOf(criterion, context, names);
        const [{ scope, beta, total, tensors, score_sums }, ...others] = golden[criterion];
        assert.deepEqual([scope, others], ['global', []]);

        for (const [name, expected] of Object.entries(score_sums)) {
          const sum = scores.get(name)!.reduce((a, b) => a + b, 0);
          assert.ok(Math.abs(sum - expected) <= 1e-4 * expected, `${name}: sum ${sum}, golden ${expected}`);
        }
        const keep = naiveKeep(
          names.flatMap((name) => Array.from(scores.get(name)!)),
          empCount(beta),
        );
        const kept = keep.filter(Boolean).length;
        assert.ok(Math.abs(kept - total.n_keep) <= 1, `kept ${kept}, golden ${total.n_keep}`);
        let [start, equalMasks] = [0, 0];
        for (const name of names) {
          const { n, n_keep, mask_sha256 } = tensors[name];
          const own = keep.slice(start, start + n);
          start += n;
          equalMasks += Number(maskHash(own) === mask_sha256);
          const found = own.filter(Boolean).length;
          assert.ok(Math.abs(found - n_keep) <= Math.max(1, 1e-4 * n), `${name}: ${found}, golden ${n_keep}`);
        }
        t.diagnostic(`${equalMasks} of ${names.length} masks have the golden hash`);
      });
    }
  }
});
