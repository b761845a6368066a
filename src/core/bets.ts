/** Shares of what may be staked without going broke, all of them bet at once. */
const STAKES = [0.03, 0.1, 0.25, 0.5, 0.75, 0.97];

/**
 * Tests "the mean is above 0" of independent numbers of at most `ceiling`: the capital of a mixture of bets against it, which has a mean of at most 1
 * where it is true, whatever else the numbers are and in whatever order (Waudby-Smith and Ramdas, 2024; Markov's inequality).
 * @param ceiling 0 or above; of 0 nothing is shown
 * @param times how often all the numbers were seen
 * @returns a p-value: `min(1, 1 / capital)`
 */
export function bettingPValue(values: Float64Array, ceiling: number, times = 1): number {
  // Numbers too small to be told from their ceiling show nothing.
  if (!(1 / ceiling < Number.POSITIVE_INFINITY)) return 1;
  const logs = STAKES.map((stake) => {
    const share = stake / ceiling;
    return times * values.reduce((sum, value) => sum + Math.log1p(-share * value), 0);
  });
  const largest = Math.max(...logs);
  const capital = logs.reduce((sum, log) => sum + Math.exp(log - largest), 0) / STAKES.length;
  return Math.min(1, Math.exp(-largest) / capital);
}
