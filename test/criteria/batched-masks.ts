import assert from 'node:assert/strict';
import type { CriterionContext } from '../../src/criteria/context.ts';
import { empCount, naiveKeep } from '../pipeline/oracle.ts';
import { scoresOf } from './run-criterion.ts';

/** Their scores are summed over batches. */
export const GRADIENT_CRITERIA = ['taylor', 'saliency'] as const;

/** One mask over all tensors, and the batches that its scores came from. */
export async function maskOf(
  criterion: (typeof GRADIENT_CRITERIA)[number],
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

/** But for what rounding changes. */
export function assertSameMask(found: readonly boolean[], expected: readonly boolean[]): void {
  const [kept, wanted] = [found, expected].map((keep) => keep.filter(Boolean).length);
  assert.ok(Math.abs(kept - wanted) <= 1, `${kept} kept, not ${wanted}`);
  const equal = found.filter((bit, i) => bit === expected[i]).length / expected.length;
  assert.ok(equal >= 0.999, `${100 * equal} % of the bits are equal`);
}
