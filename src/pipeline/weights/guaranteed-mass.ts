import { preservedMassBound } from '../../core/bounds.ts';
import {
  commonScale,
  effectiveSampleSize,
  rescale,
  type ScoreStatistics,
  sumOf,
} from '../../core/statistics.ts';

/** The share of the whole mass that is guaranteed to be kept where every tensor is a group of its own and keeps its highest scores. */
export function guaranteedShare(
  statistics: readonly ScoreStatistics[],
  keptOf: (tensor: number) => number,
): number {
  const scale = commonScale(statistics);
  const mass = Float64Array.from(statistics, ({ sum, scaleExponent }) => rescale(sum, scale - scaleExponent));
  const guaranteed = mass.map((sum, i) => {
    const { n, max } = statistics[i];
    return max === 0 ? 0 : sum * preservedMassBound(n, effectiveSampleSize(statistics[i]), keptOf(i));
  });
  return shareOf(guaranteed, mass);
}

/** The guaranteed part of a mass given in pieces; 1 where there is no mass. */
export function shareOf(guaranteed: Float64Array, mass: Float64Array): number {
  const total = sumOf(mass);
  return total > 0 ? sumOf(guaranteed) / total : 1;
}
