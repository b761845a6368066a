import { binomialAtMost, LogFactorials } from './binomial.ts';

/** Of one number or more; of an even count the mean of the middle two. */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * An interval that holds the median of what independent values are drawn from with a probability of `confidence` or more, whatever its distribution: between two of the values, as many from either end.
 * @throws RangeError where so few values have none
 */
export function medianInterval(
  values: readonly number[],
  confidence: number,
): readonly [low: number, high: number] {
  const n = values.length;
  const factorials = new LogFactorials(n);
  /** Whether it is rare enough that so few values, or fewer, lie beyond the median. */
  const isRare = (few: number) => binomialAtMost(few, n, 0.5, factorials) <= (1 - confidence) / 2;
  if (n === 0 || !isRare(0)) throw new RangeError(`${n} values have no interval of ${confidence}`);
  let [beyond, tooMany] = [0, n];
  while (tooMany - beyond > 1) {
    const middle = (beyond + tooMany) >> 1;
    if (isRare(middle)) beyond = middle;
    else tooMany = middle;
  }
  const sorted = values.toSorted((a, b) => a - b);
  return [sorted[beyond], sorted[n - 1 - beyond]];
}
