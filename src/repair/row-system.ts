import type { Fetched } from '../formats/numbers.ts';
import type { Grams } from './gram.ts';

/** What many rows are fitted to. Every array is row-major, and a matrix of its own for each group. */
export interface RowSystem extends Pick<Grams, 'gram' | 'sums'> {
  readonly groups: number;
  readonly rows: number;
  readonly features: number;
  /** `Y' X`, Y what the rows of the dense layer give: `[groups, rows, features]`. */
  readonly products: Float64Array;
  readonly places: number;
  /** Of each place that shares the weight: `[groups, rows, places]`. */
  readonly offsets: Float64Array;
  /** `[groups, rows, features]`: where it is zero, so is the solution. */
  readonly start: Float64Array;
  /** Where iterations begin, zero where `start` is; at `start` unless given. */
  readonly from?: Float64Array;
  /** `[groups]` */
  readonly damping: Float64Array;
}

/** What is left of the equations at some weights, as float64 says; 0 where these are fixed to zero. `[groups, rows, features]` both. */
export type RemainderOf = (weights: Float64Array) => Promise<Float64Array>;

export function float64(data: Float64Array, shape: readonly number[]): Fetched {
  return { dtype: 'float64', shape, data };
}

export function float32(data: Float32Array, shape: readonly number[]): Fetched {
  return { dtype: 'float32', shape, data };
}

/** Of all numbers, without their signs. */
export function largestOf(numbers: Float64Array): number {
  let largest = 0;
  for (let i = 0; i < numbers.length; i++) largest = Math.max(largest, Math.abs(numbers[i]));
  return largest;
}
