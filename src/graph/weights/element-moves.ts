/** Null where it cannot be told. */
export type Shape = readonly number[] | null;

/** Where the elements of an operand stand in a result, both constants. */
export type Move =
  /** In the same order, whatever the shape. */
  | { readonly how: 'same' }
  | { readonly how: 'transpose'; readonly result: Shape; readonly perm: readonly number[] }
  | { readonly how: 'broadcast'; readonly result: Shape; readonly operand: Shape }
  | { readonly how: 'concat'; readonly result: Shape; readonly operand: Shape }
  /** Some of them, in any order. */
  | { readonly how: 'select'; readonly result: Shape; readonly operand: Shape }
  /** Those at one position of `axis`, which has `size` of them. */
  | { readonly how: 'unstack'; readonly result: Shape; readonly axis: number; readonly size: number }
  | { readonly how: 'unknown' };
