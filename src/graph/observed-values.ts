import type { Fetched } from '../formats/numbers.ts';
import type { OnnxInput } from './interface.ts';
import type { StoredTensor } from './weights/constants.ts';

/** What two runs under different sizes of the open axes say of the values of a main graph. */
export interface ShapeTrace {
  /** Sizes in each of the two runs; null for what is no tensor or is not in the main graph. */
  shapesOf(name: string): readonly [first: readonly number[], second: readonly number[]] | null;
  /** `float32`, `int64`, ...; null as for shapes. */
  dtypeOf(name: string): string | null;
  /**
   * Row-major integers (int64, int32, bool as 0 and 1) of a value that has the same shape and numbers in both runs and does not depend on the inputs' numbers; on their
   * sizes it may: constants, and shape arithmetic whose result is not open. Null for anything else, and for more than 65,536 of them.
   */
  integersOf(name: string): readonly number[] | null;
}

/** What a graph inside the main graph has to be given, to be run by itself as it was seen at work. */
export interface ObservedTrace extends ShapeTrace {
  /** What the main graph stores; weights without their numbers. */
  storedOf(name: string): StoredTensor | null;
  /** What a value was in each run: an integer, or what an inner graph reads, where it does not depend on the inputs' numbers. Null for anything else. */
  steadyOf(name: string): SteadyValue | null;
}

export type SteadyValue = readonly [first: Fetched, second: Fetched];

/** What went into a graph in each of two runs of the one around it. */
export interface SeenInput {
  readonly shapes: readonly [first: readonly number[], second: readonly number[]];
  /** Null where it depended on the numbers in a sample: then any will do. */
  readonly values: SteadyValue | null;
}

/** Whether an open axis of an input had the same size in both runs. */
export function isHeld({ dims }: OnnxInput, shapes: ReturnType<ShapeTrace['shapesOf']>): boolean {
  const [first, second] = shapes ?? [[], []];
  return first.some((size, axis) => size === second[axis] && typeof dims?.[axis] !== 'number');
}
