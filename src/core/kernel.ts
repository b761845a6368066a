import type { FloatDtype } from './dtype.ts';

/** Elements per block of partial sums: the unit in which sums are formed, so that chunking never changes them. */
export const BLOCK = 4096;

/** Numbers a block of scores is summed up in: `[max, sum, sumOfSquares]`, see `BlockAccumulator`. */
export const BLOCK_PARTIALS = 3;

/** Bins of one radix digit (16 bits of a float's bit pattern). */
export const RADIX_BINS = 65536;

/** Elements a kernel has room for unless told otherwise: 1 MiB of float32. */
export const DEFAULT_CAPACITY = 262144;

/** How many scores of a chunk lie above the threshold and how many equal it. */
export interface RankCount {
  readonly above: number;
  readonly tied: number;
}

/** The smallest of the kept scores, how many scores equal it, and how many of those are kept (lowest index first). */
export interface TopSelection {
  readonly threshold: number;
  readonly tied: number;
  readonly tiesKept: number;
}

/**
 * The inner loops of selection over one chunk of scores. Two implementations agree bit for bit: `WasmKernel`
 * (WebAssembly SIMD; keys are float32 bit patterns, float16 and bfloat16 are widened exactly) and `PlainKernel`
 * (TypeScript, keys are float64 bit patterns; the oracle, and the only one that takes float64 scores).
 *
 * Scores count by absolute value. The operations work on the *focus*: the whole chunk after `load`, or the
 * elements that `focus` names (one of many rows). A group of scores larger than a chunk is cut at multiples of BLOCK.
 *
 * Nothing is kept from chunk to chunk but the histogram, and that only until `takeHistogram`: between the two
 * calls a kernel belongs to one group, otherwise to anybody.
 */
export interface SelectionKernel {
  /** Radix digits in a key: 2 for float32 keys, 4 for float64 keys. Digit 0 is the most significant. */
  readonly digits: number;
  /** Most elements a chunk may hold. A multiple of BLOCK. */
  readonly capacity: number;
  /**
   * Room for `count` little-endian scores of `dtype`: the caller writes them, then calls `load`.
   * The view stays valid, and shows the bytes as written, until the next call of `input`.
   */
  input(dtype: FloatDtype, count: number): Uint8Array;
  /**
   * Takes the scores just written to `input` as the current chunk and focuses all of it. `clamp` counts negative
   * scores as 0 (-Infinity stays, to be found by `firstNonFinite`) and may write these zeros into `input`.
   */
  load(dtype: FloatDtype, count: number, sign?: 'abs' | 'clamp'): void;
  /** The focused scores, widened exactly, with their signs. A view, valid until the next `load`. */
  readonly scores: Float32Array | Float64Array;
  /** Narrows all further operations to `count` elements of the chunk, from element `start` on, as a group of their own. */
  focus(start: number, count: number): void;
  /**
   * Room for the chunk's weights, `count` elements of `byteWidth` bytes, where they are not the scores themselves.
   * The view is valid until the next call.
   */
  weights(byteWidth: 2 | 4 | 8, count: number): Uint8Array;
  /**
   * Per BLOCK of the focus `[max, sum, sumOfSquares]` of the absolute scores into `partials` from `partialsOffset` on.
   * Element i is added in lane `i mod 8`, the lanes as `((0+2)+(4+6)) + ((1+3)+(5+7))`, after multiplication by
   * `2 ** scaleExponent(max)`. Returns the largest score of the focus; it, and the max of its block, is NaN or
   * Infinity where there is one.
   */
  statistics(partials: Float64Array, partialsOffset: number): number;
  /** `statistics`, and adds the focus to the digit-0 histogram in the same pass. */
  summarize(partials: Float64Array, partialsOffset: number): number;
  /** Adds to the digit-`digit` histogram the scores whose more significant digits read `prefix` (an integer below 2^48). */
  refine(digit: number, prefix: number): void;
  /**
   * The histogram gathered since the last call, `RADIX_BINS` counts below 2^32, which starts the next one at zero.
   * The view is valid until the next call.
   */
  takeHistogram(): Uint32Array;
  /** The threshold that keeps exactly `keep` (1 or more) of the focus, without touching the histogram. */
  selectTop(keep: number): TopSelection;
  /** Counts of scores above and equal to `threshold` in the focus. All are above a negative threshold. */
  rank(threshold: number): RankCount;
  /**
   * Keep mask of the focus: scores above `threshold`, and the first `tiesKept` of those equal to it (Infinity: all of them).
   * Bit i is bit `i & 7` of byte `i >> 3`, 1 = keep, trailing bits of the last byte 0. The view is valid until the next call.
   * Sums of the kept scores, times `scale` (a power of two), go to `partials` from `partialsOffset` on, one a BLOCK.
   */
  keepMask(
    threshold: number,
    tiesKept: number,
    partials: Float64Array,
    partialsOffset: number,
    scale: number,
  ): Uint8Array;
  /**
   * Zeroes, all bits, the focused elements whose bit in the last `keepMask` is 0: in the bytes of `input` where the
   * scores are the weights themselves, or in those of `weights`. The first leaves the focused scores undefined.
   */
  zeroDropped(where: 'input' | 'weights'): void;
  /** Index within the focus of the first NaN or Infinity, or -1. */
  firstNonFinite(): number;
}

/** Bits of the significand that a format stores. */
const SIGNIFICAND_BITS: Readonly<Record<FloatDtype, number>> = {
  float16: 10,
  bfloat16: 7,
  float32: 23,
  float64: 52,
};

/**
 * How many leading digits of a kernel's keys can differ from zero for scores of `dtype`: bfloat16 scores need one
 * histogram where float32 scores need two.
 */
export function significantDigits(kernel: { readonly digits: number }, dtype: FloatDtype): number {
  const signAndExponentBits = kernel.digits === 2 ? 9 : 12;
  return Math.min(kernel.digits, Math.ceil((signAndExponentBits + SIGNIFICAND_BITS[dtype]) / 16));
}
