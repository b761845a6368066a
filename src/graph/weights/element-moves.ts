import { broadcastMap, concatMap, type IndexMap, transposeMap } from './index-map.ts';
import { type AxisRoles, broadcastRoles, sliceRoles, stackRoles, transposeRoles } from './row-layout.ts';

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

/** From the roles of a result's elements to those of the operand's. */
export function moveRoles(roles: AxisRoles, move: Move): AxisRoles {
  switch (move.how) {
    case 'same':
      return roles;
    case 'transpose':
      return transposeRoles(roles, move.result, move.perm);
    case 'broadcast':
      return broadcastRoles(roles, move.result, move.operand);
    case 'concat':
    case 'select':
      return sliceRoles(roles, move.result, move.operand);
    case 'unstack':
      return stackRoles(roles, move.result, move.axis, move.size);
    case 'unknown':
      return null;
  }
}

/** From the numbers of a result's elements to those of the operand's: unknown where not every one of them is in the result. */
export function moveMap(map: IndexMap, move: Move): IndexMap {
  switch (move.how) {
    case 'same':
      return map;
    case 'transpose':
      return transposeMap(map, move.result, move.perm);
    case 'broadcast':
      return broadcastMap(map, move.result, move.operand);
    case 'concat':
      return concatMap(map, move.result, move.operand);
    default:
      return null;
  }
}
