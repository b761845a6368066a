import type { Picks } from './picks.ts';

/** Null where it cannot be told. */
export type Shape = readonly number[] | null;

/** Where the elements of an operand stand in a result, both constants. */
export type Move =
  /** In the same order, whatever the shape. */
  | { readonly how: 'same' }
  | { readonly how: 'transpose'; readonly result: Shape; readonly perm: readonly number[] }
  | { readonly how: 'broadcast'; readonly result: Shape; readonly operand: Shape }
  | { readonly how: 'concat'; readonly result: Shape; readonly operand: Shape }
  /** Some of them: those at `picks` of every axis, null for all of an axis; null as a whole where it cannot be told which. */
  | {
      readonly how: 'select';
      readonly result: Shape;
      readonly operand: Shape;
      readonly picks: readonly (Picks | null)[] | null;
    }
  /** Those at one position of `axis`, which has `size` of them; `at` is null where it is not known, or each in turn. */
  | {
      readonly how: 'unstack';
      readonly result: Shape;
      readonly axis: number;
      readonly size: number;
      readonly at: number | null;
    }
  /** One of `size` along an axis before all others: whichever the data choose, each in the end. */
  | { readonly how: 'stack'; readonly size: number }
  | { readonly how: 'unknown' };
