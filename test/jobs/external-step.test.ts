import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  dropOf,
  isWithin,
  MAX_TOLD,
  nextExternalStep,
  type ToldCandidate,
} from '../../src/jobs/external-step.ts';
import type { JobSummary } from '../../src/jobs/job.ts';
import { recipeSchema } from '../../src/recipe/recipe.ts';

const RECIPE = recipeSchema.parse({});
const DENSE: ToldCandidate = { job: null, beta: null, metric: 10 };

function pruned(number: number, beta: number, sparsity: number, metric: number | null): ToldCandidate {
  const summary = { sparsity, dense_bytes: 10, pruned_bytes: 9 } as JobSummary;
  const times = { started_at: null, finished_at: '2026-01-01T00:00:00.000Z' };
  return { beta, metric, job: { id: `job ${number}`, status: 'succeeded', ...times, error: null, summary } };
}

/** Answers as they are asked for; before each the search is taken up anew. */
async function goThrough(
  metric: Parameters<typeof nextExternalStep>[0],
  valueAt: (sparsity: number) => number,
) {
  const candidates: ToldCandidate[] = [{ ...DENSE, metric: valueAt(0) }];
  for (;;) {
    const step = await nextExternalStep(metric, RECIPE, candidates);
    if (step.kind === 'end') return { step, candidates };
    assert.ok(step.kind === 'prune' && step.candidate === candidates.length);
    const sparsity = 1 - Math.min(1, 0.6 * step.beta);
    candidates.push(pruned(step.candidate, step.beta, sparsity, null));
    assert.deepEqual(await nextExternalStep(metric, RECIPE, candidates), { kind: 'wait' });
    candidates[step.candidate] = pruned(step.candidate, step.beta, sparsity, valueAt(sparsity));
  }
}

describe('a search by a metric of the client’s own', () => {
  const cliffs = fc.double({ min: 0.05, max: 0.95, noNaN: true });

  for (const direction of ['higher', 'lower'] as const) {
    test(`${direction} is better: finds the sparsest that may be, in 14 answers at most, the dense model's among them`, async () => {
      await fc.assert(
        fc.asyncProperty(cliffs, async (cliff) => {
          const sign = direction === 'higher' ? -1 : 1;
          const metric = { direction, max_drop: cliff };
          const { step, candidates } = await goThrough(metric, (sparsity) => 5 + sign * sparsity);
          assert.ok(candidates.length <= MAX_TOLD);
          assert.ok(step.status === 'succeeded' && step.best !== null);
          const { job } = candidates[step.best];
          const sparsity = job?.summary?.sparsity ?? 0;
          assert.ok(sparsity <= cliff + 1e-9 && sparsity > cliff - 0.013, `${sparsity} of ${cliff}`);
        }),
      );
    });
  }

  test('a drop of just the limit is within it', () => {
    const metric = { direction: 'higher', max_drop: 0.3 } as const;
    assert.ok(isWithin(metric, dropOf(metric, 0.9, 0.6)));
    assert.ok(!isWithin(metric, dropOf(metric, 0.9, 0.5999)));
  });

  test('nothing follows before the dense model is known', async () => {
    const metric = { direction: 'higher', max_drop: 1 } as const;
    const unknown = { ...DENSE, metric: null };
    assert.deepEqual(await nextExternalStep(metric, RECIPE, [unknown]), {
      kind: 'prune',
      candidate: 1,
      beta: 1,
    });
    assert.deepEqual(await nextExternalStep(metric, RECIPE, [unknown, pruned(1, 1, 0.4, 9)]), {
      kind: 'wait',
    });
  });

  test('nothing within is an answer; a job that failed ends the search with its error', async () => {
    const metric = { direction: 'higher', max_drop: 0 } as const;
    const { step } = await goThrough(metric, (sparsity) => (sparsity > 0 ? 1 : 2));
    assert.equal(step.status, 'succeeded');
    const failed = pruned(1, 1, 0.4, null);
    const error = { code: 'limit_exceeded', detail: 'too much', errors: [] };
    const job = failed.job && { ...failed.job, status: 'failed' as const, error, summary: null };
    const after = await nextExternalStep(metric, RECIPE, [DENSE, { ...failed, job }]);
    assert.deepEqual(after, { kind: 'end', status: 'failed', error, best: null });
  });
});
