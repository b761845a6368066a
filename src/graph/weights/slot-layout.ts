import type { IndexMap } from './index-map.ts';
import type { AxisRoles } from './row-layout.ts';

/** How a value that has several axes of features, or others between them, is brought into order. */
export interface Arrangement {
  /** Of an Einsum that leaves, of a value's axes, those that tell matrices apart, then the features. */
  readonly equation: string;
  /** Axes of size 1 that the value lacks of the former, as an Unsqueeze takes them. */
  readonly missing: readonly number[];
}

/** Where activations have their features, and which one each element of a weight belongs to. */
export interface FeatureAxis {
  /** How many: the axis's size, or the product of adjoining axes' sizes. */
  readonly size: number;
  /** Axes that come after. */
  readonly trailing: number;
  readonly map: IndexMap;
  /** How many matrices there are along each axis, where each has features of its own: those of the first come first. */
  readonly matrices?: readonly number[];
  /** Null where the features, and one other axis, are the value's last two. */
  readonly arranged?: Arrangement;
}

/** What a constant is to the operator that has it as a weight. Texts say why activations cannot be told, with the node as subject. */
export interface SlotLayout {
  /** Null where rows are not defined. */
  readonly roles: AxisRoles;
  /** The operand that the weight multiplies: the features are the input features. It may be quantized, of floats that are known where they are quantized on the way. */
  readonly source: (FeatureAxis & { readonly operand: number; readonly isQuantized?: boolean }) | string;
  /** What the multiplication gives, the node's first output: the features are the output units. */
  readonly result: FeatureAxis | string;
}

export const QUANTIZED = 'computes with quantized numbers';

export function unknownLayout(roles: AxisRoles, reason: string): SlotLayout {
  return { roles, source: reason, result: reason };
}
