import { medianInterval, medianOf } from '../core/median.ts';
import type { speedTargetOf } from '../recipe/target.ts';
import type { Rounds } from '../runtime/latency.ts';

export type SpeedTarget = NonNullable<ReturnType<typeof speedTargetOf>>;

/** Of the intervals. */
export const SPEED_CONFIDENCE = 0.95;

/** What a target of speed bounds, in its unit: the median over rounds, and its interval. */
export interface SpeedReached {
  readonly reached: number;
  readonly low: number;
  readonly high: number;
}

/** How many times as fast the pruned model is, round by round, or the milliseconds that it takes. */
export function reachedSpeed(
  { name }: SpeedTarget,
  { dense, pruned }: Pick<Rounds, 'dense' | 'pruned'>,
): SpeedReached {
  const values = name === 'min_speedup' ? dense.map((ms, round) => ms / pruned[round]) : pruned;
  const [low, high] = medianInterval(values, SPEED_CONFIDENCE);
  return { reached: medianOf(values), low, high };
}

/** Whether all of the interval keeps the limit. */
export function keepsLimit({ name, limit }: SpeedTarget, { low, high }: SpeedReached): boolean {
  return name === 'min_speedup' ? low >= limit : high <= limit;
}

/**
 * The time that a model takes by the time that is allowed, twice the noise included: up to 1 the limit is kept, and likely again. What is found is measured anew, and what is just
 * within would be beyond as often as not.
 */
export function shareOfAllowed({ name, limit }: SpeedTarget, { reached, low, high }: SpeedReached): number {
  return name === 'max_latency_ms' ? (high / reached) * (high / limit) : (reached / low) * (limit / low);
}
