import { ERRORS } from './wording.ts';

/** More than this share of what changes, a change is told whatever its interval. */
const DOUBLED = 1;

/**
 * Whether a change may be chance. Two standard errors are an interval of many samples that count alike: where a few carry a loss that more than doubles, they hide what is there.
 * @param was what rises with the change; infinite where it has a limit, as an accuracy has
 */
export function isNoise(
  change: number,
  standardError: number | null,
  was = Number.POSITIVE_INFINITY,
): boolean {
  if (change === 0) return true;
  if (standardError === null || change > DOUBLED * was) return false;
  return Math.abs(change) <= ERRORS * standardError;
}
