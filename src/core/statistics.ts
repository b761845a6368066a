import { EmpError } from './errors.ts';
import { BLOCK, BLOCK_PARTIALS } from './kernel.ts';

/**
 * What EMP needs to know of a group of scores; a `BlockAccumulator` makes it of any parts of the group.
 * `sum` and `sumOfSquares` are of `abs(s) * 2 ** scaleExponent`; `max` is unscaled.
 */
export interface ScoreStatistics {
  readonly n: number;
  readonly max: number;
  readonly scaleExponent: number;
  readonly sum: number;
  readonly sumOfSquares: number;
}

/** Within `2 ** +-SAFE_EXPONENT` neither squares nor sums of 2^53 of them overflow, nor does anything that matters underflow. */
const SAFE_EXPONENT = 400;
const SCALE_EXPONENT = 700;

/**
 * The power of two by which scores are multiplied before they are summed, a function of the largest: 0 for anything a
 * float32 can hold, +-700 beyond, so that scores near 1e300 and 1e-310 work.
 */
export function scaleExponent(max: number): number {
  if (max > 2 ** SAFE_EXPONENT) return -SCALE_EXPONENT;
  if (max < 2 ** -SAFE_EXPONENT && max > 0) return SCALE_EXPONENT;
  return 0;
}

/** `value * 2 ** exponent`, in halves because 2 ** -1400 itself underflows. Only ever scales down, or scales 0. */
export function rescale(value: number, exponent: number): number {
  const half = 2 ** (exponent / 2);
  return value * half * half;
}

/** A sum of numbers in a given order, compensated after Neumaier. */
class CompensatedSum {
  #sum = 0;
  #compensation = 0;

  add(x: number): void {
    const total = this.#sum + x;
    this.#compensation += Math.abs(this.#sum) >= Math.abs(x) ? this.#sum - total + x : x - total + this.#sum;
    this.#sum = total;
  }

  rescale(exponent: number): void {
    this.#sum = rescale(this.#sum, exponent);
    this.#compensation = rescale(this.#compensation, exponent);
  }

  get value(): number {
    return this.#sum + this.#compensation;
  }
}

/** Compensated sum of the first `count` numbers, in their order. */
export function sumOf(numbers: Float64Array, count: number = numbers.length): number {
  const sum = new CompensatedSum();
  for (let i = 0; i < count; i++) sum.add(numbers[i]);
  return sum.value;
}

/**
 * Adds up the block partials of one group of scores. Blocks are added one by one in the order of their index, so the
 * result is the same to the last bit whatever chunks, threads or machines the partials came from.
 */
export class BlockAccumulator {
  #n = 0;
  #max = 0;
  readonly #sum = new CompensatedSum();
  readonly #sumOfSquares = new CompensatedSum();

  /** Adds `n` scores: their `ceil(n / BLOCK)` triples `[max, sum, sumOfSquares]`, from `partialsOffset` on. */
  addBlocks(partials: Float64Array, n: number, partialsOffset = 0): void {
    const end = partialsOffset + Math.ceil(n / BLOCK) * BLOCK_PARTIALS;
    for (let i = partialsOffset; i < end; i += BLOCK_PARTIALS) {
      const exponent = scaleExponent(partials[i]);
      const shift = this.#raise(partials[i]) - exponent;
      this.#sum.add(shift === 0 ? partials[i + 1] : rescale(partials[i + 1], shift));
      this.#sumOfSquares.add(shift === 0 ? partials[i + 2] : rescale(partials[i + 2], 2 * shift));
    }
    this.#n += n;
  }

  get statistics(): ScoreStatistics {
    return {
      n: this.#n,
      max: this.#max,
      scaleExponent: scaleExponent(this.#max),
      sum: this.#sum.value,
      sumOfSquares: this.#sumOfSquares.value,
    };
  }

  /** Takes `max` into account and brings the sums so far to the scale that now holds, which it returns. */
  #raise(max: number): number {
    const before = scaleExponent(this.#max);
    if (max > this.#max || Number.isNaN(max)) this.#max = max;
    const after = scaleExponent(this.#max);
    if (after !== before) {
      this.#sum.rescale(after - before);
      this.#sumOfSquares.rescale(2 * (after - before));
    }
    return after;
  }
}

/** Statistics of a group whose `n` scores were summed up in `partials`. */
export function statisticsOfBlocks(partials: Float64Array, n: number): ScoreStatistics {
  const accumulator = new BlockAccumulator();
  accumulator.addBlocks(partials, n);
  return accumulator.statistics;
}

/** The scale at which the sums of several groups can be added up: that of their largest score. */
export function commonScale(groups: readonly ScoreStatistics[]): number {
  return scaleExponent(groups.reduce((most, { max }) => Math.max(most, max), 0));
}

/** Larger than the rounding of any sum formed here, smaller than anything a score vector can mean. */
const ROUNDING_GUARD = 1 + 2 ** -40;

/** `N_eff = (sum |s|)^2 / sum s^2`, in [1, N]. NaN where all scores are zero. */
export function effectiveSampleSize({ n, sum, sumOfSquares }: ScoreStatistics): number {
  return Math.min(n, Math.max(1, (sum / sumOfSquares) * sum));
}

/** `nu = clamp(floor(beta * N_eff), 1, N)`; `floor` does not lose a component to rounding. Throws `invalid_beta`. */
export function keepCount(nEff: number, beta: number, n: number): number {
  assertBeta(beta);
  return Math.min(n, Math.max(1, Math.floor(beta * nEff * ROUNDING_GUARD)));
}

/** How many components a fixed budget keeps: all but `floor(sparsity * n)`, at least one. Sparsity is in [0, 1). */
export function keepCountForSparsity(n: number, sparsity: number): number {
  if (!(sparsity >= 0 && sparsity < 1)) {
    throw new EmpError('invalid_request', `sparsity must be in [0, 1), got ${sparsity}`, [
      { path: '/budget/sparsity', message: 'must be in [0, 1)' },
    ]);
  }
  return Math.max(1, n - Math.floor(sparsity * n * ROUNDING_GUARD));
}

/** Throws `invalid_beta` unless `beta` is a finite number above 0. */
export function assertBeta(beta: number): void {
  if (!(beta > 0 && beta < Number.POSITIVE_INFINITY)) {
    throw new EmpError('invalid_beta', `beta must be a finite number above 0, got ${beta}`, [
      { path: '/beta', message: 'must be a finite number above 0' },
    ]);
  }
}
