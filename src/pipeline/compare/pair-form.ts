import { isEditable, type ModelTensor, weightShape } from '../../formats/model.ts';
import { isQuantized } from '../../formats/quantized-weights.ts';
import type { BothTensors } from './match-tensors.ts';

/** Positions of an axis, before and after. */
export interface ShrunkAxis {
  readonly axis: number;
  readonly from: number;
  readonly to: number;
}

/** How two tensors of one name can be compared. */
export type PairForm =
  | { readonly kind: 'same' }
  /** Whole positions of these axes are gone. */
  | { readonly kind: 'smaller'; readonly axes: readonly ShrunkAxis[] }
  /** `isCounted`: the pruned weights are read as numbers as the original's are, so that its zeros are those of pruning. */
  | { readonly kind: 'unlike'; readonly reason: string; readonly isCounted: boolean };

/** Weights are compared one by one where both are read as numbers and lie in the same order. */
export function formOf({ original, pruned }: BothTensors): PairForm {
  const unlike = (reason: string, isCounted = true) => ({ kind: 'unlike', reason, isCounted }) as const;
  for (const [tensor, where] of [
    [original, 'original'],
    [pruned, 'pruned'],
  ] as const)
    if (!isEditable(tensor))
      return unlike(`is ${tensor.dtype} in the ${where} model, which has no numbers to read`, false);
  if (isQuantized(original) !== isQuantized(pruned))
    return unlike(
      `is ${original.dtype} in the original and ${pruned.dtype} in the pruned model: quantizing rounds weights to zero, so a mask cannot be told; compare the models before they are quantized`,
      false,
    );
  const [before, after] = [weightShape(original), weightShape(pruned)];
  if (sameShape(withoutOnes(before), withoutOnes(after))) return { kind: 'same' };
  const shapes = `${JSON.stringify(before)} in the original and ${JSON.stringify(after)} in the pruned model`;
  const sorted = (shape: readonly number[]) => shape.toSorted((a, b) => a - b);
  if (sameShape(sorted(before), sorted(after)))
    return unlike(`lies in another layout, ${shapes}: export both models in the same way`);
  if (before.length === after.length && before.every((size, axis) => size >= after[axis]))
    return {
      kind: 'smaller',
      axes: before.flatMap((from, axis) => (from > after[axis] ? [{ axis, from, to: after[axis] }] : [])),
    };
  return unlike(`has another shape, ${shapes}`);
}

function withoutOnes(shape: readonly number[]): number[] {
  return shape.filter((size) => size !== 1);
}

function sameShape(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((size, axis) => size === other[axis]);
}

/** A tensor as a text that tells people which one it is. */
export function shown({ name, dtype, shape }: ModelTensor): string {
  return `${name} (${dtype} ${JSON.stringify(shape)})`;
}
