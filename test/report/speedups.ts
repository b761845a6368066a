import type { Evaluation } from '../../src/report/report.ts';

/** Of two medians, in rounds that differ by a thousandth. */
export function speedupOf(
  dense: number,
  pruned: number,
  level: 'all' | 'extended' = 'all',
): Evaluation['speedups'][number] {
  const speedup = dense / pruned;
  return { level, speedup, low: 0.999 * speedup, high: 1.001 * speedup, noise: 0.001, rounds: 201 };
}
