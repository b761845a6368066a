import { distributeTies } from '../../core/selection.ts';
import type { ScoreStatistics } from '../../core/statistics.ts';
import type { ScoreRange } from '../../criteria/context.ts';
import { selectGroup, type TensorScores } from '../weights/decide.ts';
import { chunksOf, type TensorDecisions } from '../weights/passes/operation.ts';
import type { PassRunner, Summary } from '../weights/passes/runner.ts';

/** What EMP keeps where another has said how many. */
export interface SameSize {
  readonly decisions: TensorDecisions;
  /** Of each tensor. */
  readonly statistics: readonly ScoreStatistics[];
}

/** The highest scores of all tensors together, as many in all. @param counts how many each keeps in the other's model */
export async function keepInAll(
  { runner, ranges, summary }: TensorScores,
  counts: readonly number[],
): Promise<SameSize> {
  const keep = counts.reduce((sum, count) => sum + count, 0);
  const { threshold, tiesKept } = await keepHighest(runner, ranges, summary, keep);
  const thresholds = new Float64Array(ranges.length).fill(threshold);
  return { decisions: { by: 'tensor', thresholds, tiesKept }, statistics: summary.bySource };
}

/** The highest scores of each tensor, as many in each. */
export async function keepInEach(
  { runner, ranges, summary }: TensorScores,
  counts: readonly number[],
): Promise<SameSize> {
  const thresholds = new Float64Array(ranges.length);
  const tiesKept: number[] = [];
  for (const [i, range] of ranges.entries()) {
    const alone = await keepHighest(runner, [range], await runner.summarize([range]), counts[i]);
    thresholds[i] = alone.threshold;
    for (const count of alone.tiesKept) tiesKept.push(count);
  }
  return {
    decisions: { by: 'tensor', thresholds, tiesKept: Float64Array.from(tiesKept) },
    statistics: summary.bySource,
  };
}

/** Exactly `keep` of a group's scores, of equal ones the first; none, and of zeros alone, too. */
async function keepHighest(
  runner: PassRunner,
  group: readonly ScoreRange[],
  summary: Summary,
  keep: number,
): Promise<{ threshold: number; tiesKept: Float64Array }> {
  const chunks = chunksOf(group, runner.chunkElements).length;
  if (keep === 0) return { threshold: Number.POSITIVE_INFINITY, tiesKept: new Float64Array(chunks) };
  const selection = await selectGroup(runner, group, summary, () => keep);
  const threshold = selection?.threshold ?? 0;
  const { tied } = await runner.rank(group, threshold);
  return { threshold, tiesKept: distributeTies(tied, selection?.tiesKept ?? keep) };
}
