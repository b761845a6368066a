import { scoreOfKey } from '../core/selection.ts';
import { effectiveSampleSize, type ScoreStatistics } from '../core/statistics.ts';
import type { Report } from './report.ts';

type Distribution = Report['scores'];

/** Bins an octave, of equal width within it. */
const BINS_PER_OCTAVE = 4;
/** Scores further below the largest hold next to nothing. */
const OCTAVES = 30;
/** A point of the Lorenz curve wherever either share has grown by this much. */
const LORENZ_STEP = 0.01;

/** All scores by the upper 16 bits of their float32 (`keyDigits` 2) or float64 (`keyDigits` 4) bit patterns. */
export interface KeyHistogram {
  readonly histogram: Float64Array;
  readonly keyDigits: number;
  readonly statistics: ScoreStatistics;
}

/**
 * How scores are distributed, for a histogram and a Lorenz curve. A key's upper 16 bits tell values apart to 1 % (6 % for float64), and every bin's
 * mass is taken at its middle, so the curve is within half of that.
 */
export function createScoreDistribution({ histogram, keyDigits, statistics }: KeyHistogram): Distribution {
  const octave = 2 ** (keyDigits === 2 ? 7 : 4);
  const lowestOf: LowestOf = (bin) => scoreOfKey([bin], keyDigits);
  return {
    n_eff: statistics.max === 0 ? null : effectiveSampleSize(statistics),
    ...binned(histogram, octave / BINS_PER_OCTAVE, lowestOf),
    lorenz: lorenzCurve(histogram, lowestOf, statistics.n),
  };
}

/** The smallest score whose key is `bin`. */
type LowestOf = (bin: number) => number;

/** @param width keys that make up a bin */
function binned(
  histogram: Float64Array,
  width: number,
  lowestOf: LowestOf,
): Pick<Distribution, 'edges' | 'counts' | 'zero'> {
  const last = histogram.findLastIndex((count) => count > 0);
  const top = Math.floor(last / width);
  // Zero and subnormal scores have no octave of their own.
  let first = Math.max(BINS_PER_OCTAVE, top + 1 - OCTAVES * BINS_PER_OCTAVE);
  const countAt = (bin: number) =>
    histogram.subarray(bin * width, (bin + 1) * width).reduce((sum, count) => sum + count, 0);
  while (first < top && countAt(first) === 0) first++;
  const zero = histogram.subarray(0, first * width).reduce((sum, count) => sum + count, 0);
  if (top < first) return { edges: [], counts: [], zero };
  const bins = Array.from({ length: top - first + 1 }, (_, i) => first + i);
  return {
    edges: [...bins, top + 1].map((bin) => Math.min(lowestOf(bin * width), Number.MAX_VALUE)),
    counts: bins.map(countAt),
    zero,
  };
}

function lorenzCurve(histogram: Float64Array, lowestOf: LowestOf, n: number): Distribution['lorenz'] {
  const last = histogram.findLastIndex((count) => count > 0);
  const scale = lowestOf(last) || 1;
  const massAt = (bin: number) =>
    histogram[bin] * ((lowestOf(bin) / scale + Math.min(lowestOf(bin + 1) / scale, 2)) / 2);
  const masses: [bin: number, mass: number][] = [];
  for (let bin = 0; bin <= last; bin++) if (histogram[bin] > 0) masses.push([bin, massAt(bin)]);
  const total = masses.reduce((sum, [, mass]) => sum + mass, 0);
  const curve: [number, number][] = [[0, 0]];
  let [kept, mass] = [0, 0];
  for (const [bin, own] of total > 0 ? masses.reverse() : []) {
    kept += histogram[bin];
    mass += own;
    const point: [number, number] = [rounded(kept / n), rounded(Math.min(1, mass / total))];
    const [beforeKept, beforeMass] = curve[curve.length - 1];
    if (point[0] - beforeKept >= LORENZ_STEP || point[1] - beforeMass >= LORENZ_STEP) curve.push(point);
  }
  const [endKept, endMass] = curve[curve.length - 1];
  if (endKept < 1 || endMass < 1) curve.push([1, 1]);
  return curve;
}

function rounded(share: number): number {
  return Math.round(share * 1e6) / 1e6;
}
