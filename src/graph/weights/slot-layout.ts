import type { IndexMap } from './index-map.ts';
import type { AxisRoles } from './row-layout.ts';

/** Where activations have their features, and which one each element of a weight belongs to. */
export interface FeatureAxis {
  /** How many: the axis's size, or the product of adjoining axes' sizes. */
  readonly size: number;
  /** Axes that come after. */
  readonly trailing: number;
  readonly map: IndexMap;
}

/** What a constant is to the operator that has it as a weight. Texts say why activations cannot be told, with the node as subject. */
export interface SlotLayout {
  /** Null where rows are not defined. */
  readonly roles: AxisRoles;
  /** The operand that the weight multiplies: the features are the input features. */
  readonly source: (FeatureAxis & { readonly operand: number }) | string;
  /** What the multiplication gives, the node's first output: the features are the output units. */
  readonly result: FeatureAxis | string;
}

export function unknownLayout(roles: AxisRoles, reason: string): SlotLayout {
  return { roles, source: reason, result: reason };
}
