import { RADIX_BINS, type SelectionKernel, type TopSelection } from './kernel.ts';
import { effectiveSampleSize, type ScoreStatistics } from './statistics.ts';

/** Counts per bin of one radix digit. Float64Array where parts were added up: a group may hold more than 2^32 scores. */
export type Histogram = Uint32Array | Float64Array;

/** Passes over all scores of a group, wherever they are: in memory, in files, shared among threads. */
export interface SelectionPasses {
  /** Radix digits of the kernel's keys, `SelectionKernel.digits`. */
  readonly keyDigits: number;
  /** How many of them can differ from zero, see `significantDigits`. */
  readonly significantDigits: number;
  /** Statistics and the digit-0 histogram. Rejects where a score is not finite. */
  summarize(): Promise<{ readonly statistics: ScoreStatistics; readonly histogram: Histogram }>;
  /** The digit-`digit` histogram of the scores whose more significant digits read `prefix`. */
  refine(digit: number, prefix: number): Promise<Histogram>;
}

/** Which scores of a group are kept: those above `threshold`, and the first `tiesKept` of the `tied` that equal it. */
export interface Selection extends TopSelection {
  readonly n: number;
  readonly nEff: number;
  readonly nKeep: number;
  readonly above: number;
  readonly statistics: ScoreStatistics;
}

/** How many of a group to keep, for instance `keepCount(effectiveSampleSize(statistics), beta, statistics.n)`. */
export type KeepRule = (statistics: ScoreStatistics) => number;

/**
 * EMP's decision on a group of any size in a constant amount of memory: N_eff from the statistics, then the threshold digit
 * by digit from the top, exactly and without a sort. Null where all scores are zero (or there are none): they have no N_eff.
 */
export async function selectThreshold(passes: SelectionPasses, keep: KeepRule): Promise<Selection | null> {
  const { statistics, histogram } = await passes.summarize();
  if (statistics.max === 0) return null;
  const nKeep = keep(statistics);
  const digits: number[] = [];
  let prefix = 0;
  let counts = histogram;
  let wanted = nKeep;
  for (;;) {
    const bin = binOf(counts, wanted);
    wanted = bin.wanted;
    digits.push(bin.index);
    if (digits.length === passes.significantDigits) break;
    prefix = prefix * RADIX_BINS + bin.index;
    counts = await passes.refine(digits.length, prefix);
  }
  const threshold = scoreOfKey(digits, passes.keyDigits);
  const tied = counts[digits[digits.length - 1]];
  return createSelection(statistics, nKeep, { threshold, tied, tiesKept: wanted });
}

/** The same decision on a group that is the kernel's focus, at once. */
export function selectWithin(
  kernel: SelectionKernel,
  statistics: ScoreStatistics,
  keep: KeepRule,
): Selection | null {
  if (statistics.max === 0) return null;
  const nKeep = keep(statistics);
  return createSelection(statistics, nKeep, kernel.selectTop(nKeep));
}

function createSelection(statistics: ScoreStatistics, nKeep: number, top: TopSelection): Selection {
  const { n } = statistics;
  return { n, nEff: effectiveSampleSize(statistics), nKeep, above: nKeep - top.tiesKept, ...top, statistics };
}

/**
 * How many ties each part of a group keeps: the first `tiesKept`, in the order of the parts.
 * @param tied how many scores of each part equal the threshold
 */
export function distributeTies(tied: ArrayLike<number>, tiesKept: number): Float64Array {
  let left = tiesKept;
  return Float64Array.from(tied, (count) => {
    const kept = Math.min(count, left);
    left -= kept;
    return kept;
  });
}

/** The bin that the `wanted`-th largest score falls into, and how many of that bin's scores are among those wanted. */
function binOf(counts: Histogram, wanted: number): { index: number; wanted: number } {
  let left = wanted;
  let index = RADIX_BINS - 1;
  while (index >= 0 && counts[index] < left) left -= counts[index--];
  if (index < 0)
    throw new Error(`${wanted} scores are to be kept and the histogram holds fewer: did they change?`);
  return { index, wanted: left };
}

/** The score whose bit pattern begins with these digits and goes on with zeros. */
export function scoreOfKey(digits: readonly number[], keyDigits: number): number {
  const key = new DataView(new ArrayBuffer(2 * keyDigits));
  digits.forEach((digit, i) => {
    key.setUint16(2 * i, digit);
  });
  return keyDigits === 2 ? key.getFloat32(0) : key.getFloat64(0);
}
