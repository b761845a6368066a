import { distributeTies } from '../../core/selection.ts';
import { effectiveSampleSize } from '../../core/statistics.ts';
import type { ScoreRange } from '../../criteria/context.ts';
import type { SharingRule } from '../../recipe/allocations.ts';
import { type Amount, minimumKept } from '../amount.ts';
import { type Decision, decideAlone, selectGroup, type TensorScores } from './decide.ts';
import { guaranteedShare } from './guaranteed-mass.ts';
import { chunksOf } from './passes/operation.ts';
import type { PassRunner } from './passes/runner.ts';

/** How many weights each of some tensors keeps, of `keep` in all. */
type Spread = (tensors: readonly number[], keep: number) => Promise<readonly number[]>;

/** What the recipe's own scope keeps. */
export interface OwnCounts {
  readonly decision: Decision;
  /** Of each tensor. */
  readonly counts: readonly number[];
}

/** How many weights a tensor may keep: not fewer than one, or than `minDensity` leaves it. One of zeros, which has no N_eff, keeps what the recipe's own scope does. */
export interface Limits {
  readonly least: number;
  readonly most: number;
}

/** Of each tensor. */
export function limitsOf(
  { counts }: OwnCounts,
  { ranges, summary }: TensorScores,
  { minDensity }: Amount,
): Limits[] {
  return ranges.map(({ n }, i) =>
    summary.bySource[i].max > 0
      ? { least: Math.max(1, minimumKept(n, minDensity)), most: n }
      : { least: counts[i], most: counts[i] },
  );
}

/**
 * How many weights each tensor keeps by a rule, within its limits: as many in all as the recipe's own scope does, or what the limits take where that is more.
 * @param lamp LAMP scores of each tensor, in any order
 */
export async function shareTotal(
  rule: SharingRule,
  { counts: own }: OwnCounts,
  { runner, ranges, summary }: TensorScores,
  lamp: readonly ScoreRange[],
  limits: readonly Limits[],
): Promise<number[]> {
  const counts = limits.map(({ least }) => least);
  const scored = [...ranges.keys()].filter((i) => summary.bySource[i].max > 0);
  const spread = spreadBy(rule, runner, ranges, summary.bySource, lamp);
  const total = (tensors: readonly number[], of: readonly number[]) =>
    tensors.reduce((sum, i) => sum + of[i], 0);
  let left = Math.max(total(scored, own), total(scored, counts));
  // What keeps its least takes from the others, of which some may then keep less than theirs.
  for (let tensors = scored; tensors.length > 0; ) {
    const shares = await spread(tensors, left);
    const isShort = (i: number, at: number) => shares[at] < counts[i];
    const short = tensors.filter(isShort);
    if (short.length === 0) {
      for (const [at, i] of tensors.entries()) counts[i] = shares[at];
      break;
    }
    left -= total(short, counts);
    tensors = tensors.filter((i, at) => !isShort(i, at));
  }
  return counts;
}

/** Each tensor keeps its `counts[i]` highest scores, equal ones by their place; one of zeros what it did. */
export async function decideCounts(
  counts: readonly number[],
  { decision: own }: OwnCounts,
  { runner, ranges, summary }: TensorScores,
): Promise<Decision> {
  if (own.decisions.by === 'row') throw new TypeError('a total of rows');
  const thresholds = Float64Array.from(own.decisions.thresholds);
  const tiesKept = Float64Array.from(own.decisions.tiesKept);
  let chunk = 0;
  for (const [i, range] of ranges.entries()) {
    if (summary.bySource[i].max > 0) {
      const alone = await decideAlone(runner, range, () => counts[i]);
      thresholds[i] = alone.threshold;
      tiesKept.set(alone.tiesKept, chunk);
    }
    chunk += chunksOf([range], runner.chunkElements).length;
  }
  return {
    ...own,
    decisions: { by: 'tensor', thresholds, tiesKept },
    global: own.global && { nEff: own.global.nEff, threshold: null },
    preservedMassBound: guaranteedShare(own.statistics, (i) => counts[i]),
    raised: [],
  };
}

function spreadBy(
  rule: SharingRule,
  runner: PassRunner,
  ranges: readonly ScoreRange[],
  statistics: TensorScores['summary']['bySource'],
  lamp: readonly ScoreRange[],
): Spread {
  const amongHighest = (scores: readonly ScoreRange[]): Spread => {
    return (tensors, keep) =>
      countHighest(
        runner,
        tensors.map((i) => scores[i]),
        keep,
      );
  };
  switch (rule) {
    case 'global':
      return amongHighest(ranges);
    case 'lamp':
      return amongHighest(lamp);
    case 'layer':
      return async (tensors, keep) =>
        shareByNEff(
          tensors.map((i) => ({ n: ranges[i].n, nEff: effectiveSampleSize(statistics[i]) })),
          keep,
        );
  }
}

/** How many scores of each range are among the `keep` highest of all; of equal ones the first are. */
async function countHighest(
  runner: PassRunner,
  ranges: readonly ScoreRange[],
  keep: number,
): Promise<number[]> {
  const selection = await selectGroup(runner, ranges, await runner.summarize(ranges), () => keep);
  if (selection === null) throw new TypeError('tensors of zeros');
  const { above, tied } = await runner.rank(ranges, selection.threshold);
  const ties = distributeTies(tied, selection.tiesKept);
  const counts = ranges.map(() => 0);
  for (const [chunk, { source }] of chunksOf(ranges, runner.chunkElements).entries())
    counts[source] += above[chunk] + ties[chunk];
  return counts;
}

/**
 * The largest counts `min(floor(beta * N_eff), n)` at one beta that are `keep` at most in all, and one more each, by their place, for the tensors that the next larger beta would give one.
 */
export function shareByNEff(
  tensors: readonly { readonly n: number; readonly nEff: number }[],
  keep: number,
): number[] {
  const countsAt = (beta: number) => tensors.map(({ n, nEff }) => Math.min(n, Math.floor(beta * nEff)));
  const sum = (counts: readonly number[]) => counts.reduce((all, count) => all + count, 0);
  let [low, high] = [0, Math.max(...tensors.map(({ n, nEff }) => n / nEff)) + 1];
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) break;
    if (sum(countsAt(middle)) <= keep) low = middle;
    else high = middle;
  }
  const counts = countsAt(low);
  let left = keep - sum(counts);
  const larger = countsAt(high);
  for (const [i, count] of counts.entries()) {
    const more = Math.min(left, larger[i] - count);
    counts[i] += more;
    left -= more;
  }
  return counts;
}
