import type { FloatDtype } from '../../../core/dtype.ts';

/** How scores spread over the powers of two. */
export interface ExponentCounts {
  /** `counts[i]` scores lie in `[2 ** (log2Min + i), 2 ** (log2Min + i + 1))`. */
  readonly log2Min: number;
  readonly counts: readonly number[];
  /** Scores that are zero, or too small for a normal float32 (float64 for float64 scores). */
  readonly zero: number;
}

/** Values of a float64's exponent field, which is `BIAS` above the power of two it stands for. */
const FIELDS = 2048;
const BIAS = 1023;
const FLOAT32_BIAS = 127;
const SMALLEST_FLOAT32_FIELD = BIAS - FLOAT32_BIAS + 1;

/** Bits of a key's upper 16 that belong to the significand, and what is to be added to its exponent field. */
function keyFormat(isFloat32: boolean): { significandBits: number; rebias: number } {
  return isFloat32 ? { significandBits: 7, rebias: BIAS - FLOAT32_BIAS } : { significandBits: 4, rebias: 0 };
}

/** Counts the scores of one source after the other. */
export class ExponentCounter {
  readonly #counts = new Float64Array(FIELDS);

  add(scores: Float32Array | Float64Array): void {
    const isFloat32 = scores instanceof Float32Array;
    const { significandBits, rebias } = keyFormat(isFloat32);
    const step = isFloat32 ? 1 : 2;
    const words = new Uint32Array(scores.buffer, scores.byteOffset, scores.length * step);
    for (let i = step - 1; i < words.length; i += step) {
      this.#counts[((words[i] & 0x7fffffff) >>> (significandBits + 16)) + rebias]++;
    }
  }

  /** Adds scores by their digit-0 histogram. */
  addHistogram(histogram: Uint32Array, keyDigits: number): void {
    const { significandBits, rebias } = keyFormat(keyDigits === 2);
    for (let bin = 0; bin < histogram.length; bin++) {
      this.#counts[(bin >> significandBits) + rebias] += histogram[bin];
    }
  }

  /** What was counted since the last call. */
  take(dtype: FloatDtype): ExponentCounts {
    const counts = this.#counts;
    const smallest = dtype === 'float64' ? 1 : SMALLEST_FLOAT32_FIELD;
    const zero = counts.subarray(0, smallest).reduce((sum, count) => sum + count, 0);
    let first = smallest;
    while (first < FIELDS && counts[first] === 0) first++;
    let end = FIELDS;
    while (end > first && counts[end - 1] === 0) end--;
    const taken = Array.from(counts.subarray(first, end));
    counts.fill(0);
    return { log2Min: taken.length === 0 ? 0 : first - BIAS, counts: taken, zero };
  }
}

/** The counts of two parts of a source together. */
export function mergeExponents(a: ExponentCounts, b: ExponentCounts): ExponentCounts {
  const zero = a.zero + b.zero;
  if (a.counts.length === 0 || b.counts.length === 0) {
    return { ...(a.counts.length === 0 ? b : a), zero };
  }
  const log2Min = Math.min(a.log2Min, b.log2Min);
  const end = Math.max(a.log2Min + a.counts.length, b.log2Min + b.counts.length);
  const countAt = ({ log2Min: first, counts }: ExponentCounts, log2: number) => counts[log2 - first] ?? 0;
  const counts = Array.from(
    { length: end - log2Min },
    (_, i) => countAt(a, log2Min + i) + countAt(b, log2Min + i),
  );
  return { log2Min, counts, zero };
}
