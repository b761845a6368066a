/** A size of a value: a number; `varies` where it follows the batch, and is never 1; null where nothing is known of it. */
export type Size = number | 'varies' | null;

/** What is known of the values of a graph. */
export interface ValueFacts {
  /** Sizes; null where not even the rank is known. */
  shapeOf(name: string): readonly Size[] | null;
  /** The numbers of a small constant, flat; null where the value is none. */
  constantOf(name: string): readonly number[] | null;
}
