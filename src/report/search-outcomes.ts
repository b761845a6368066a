/** What a search may come to beside its best model: nothing faster, or lines that its limits left untried. */
import type { Summary } from './summary.ts';
import { counted, number } from './wording.ts';

export const NOTHING_FASTER = 'Nothing faster was found';

type Speedup = { readonly [name in 'speedup' | 'speedup_is_difference']?: Summary[name] | undefined };

/** Of a search for speed: whether the best is no faster than the dense model, beyond its noise. */
export function isNothingFaster(aim: string, summary: Speedup | null | undefined): boolean {
  if (aim !== 'speed' || summary?.speedup == null) return false;
  return summary.speedup <= 1 || summary.speedup_is_difference === false;
}

export interface Limits {
  readonly max_candidates: number;
  readonly max_seconds?: number | undefined;
}

/** What a search had left to try when it came to a limit. */
export interface Untried {
  readonly n: number;
  readonly limit: 'max_candidates' | 'max_seconds';
  readonly allowed: number;
}

/** Lines of a round share what is left, so that so many candidates are enough for any. */
const ENOUGH_FOR_A_ROUND = 3;

/** Null where it ended otherwise, or tried all. */
export function untriedOf(
  status: string,
  limits: Limits,
  nCandidates: number,
  lines: readonly { readonly status: string }[],
): Untried | null {
  if (status !== 'succeeded') return null;
  // What was being tried when time was over is given up.
  const n = lines.filter((line) => line.status === 'not_tried' || line.status === 'canceled').length;
  if (n === 0) return null;
  const { max_candidates, max_seconds } = limits;
  const isOverTime =
    max_seconds !== undefined &&
    (max_candidates - nCandidates >= ENOUGH_FOR_A_ROUND || lines.some((line) => line.status === 'canceled'));
  return isOverTime
    ? { n, limit: 'max_seconds', allowed: max_seconds }
    : { n, limit: 'max_candidates', allowed: max_candidates };
}

export const RECIPE = { one: 'recipe', many: 'recipes' };

/** `It stopped at its limit of 120 models, with 3 recipes untried`. */
export function describeUntried({ n, limit, allowed }: Untried): string {
  const bound =
    limit === 'max_seconds'
      ? counted(allowed, { one: 'second', many: 'seconds' })
      : counted(allowed, { one: 'model', many: 'models' });
  return `It stopped at its limit of ${bound}, with ${counted(n, RECIPE)} untried`;
}

/** `higher is better, at most 0.01 worse than the original` */
export function describeMetricLimit({ direction, max_drop }: MetricLimit): string {
  return `${direction} is better, at most ${number(max_drop)} worse than the original`;
}

/** Of a metric of the client's own. */
export interface MetricLimit {
  readonly direction: string;
  readonly max_drop: number;
}
