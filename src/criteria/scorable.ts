import { checkDifferentiable } from '../autodiff/differentiable.ts';
import { isFloatDtype } from '../core/dtype.ts';
import type { ModelInventory } from '../formats/model.ts';
import { isQuantized } from '../formats/quantized-weights.ts';
import type { OnnxModel } from '../graph/onnx-model.ts';
import { type StructureCriterion, scoringOf } from '../recipe/criteria.ts';
import { cannotScore } from './capturable.ts';
import { checkSides } from './layer-sides.ts';
import { checkReaders } from './matrix-readers.ts';
import { checkGammas } from './structures/bn-gamma.ts';

/** A family as clients are shown it. */
interface ShownFamily {
  readonly name: string;
  readonly producers: readonly string[];
  readonly consumers: readonly string[];
  readonly unread: boolean;
}

/** Which weights' numbers criteria multiply by; the others look at none. */
const READ_NUMBERS: Partial<Record<StructureCriterion, 'producers' | 'consumers'>> = {
  l2_norm: 'producers',
  wanda: 'consumers',
  variance: 'consumers',
  taylor_rms: 'consumers',
};

/**
 * Refuses families that a criterion cannot score, as far as the graph alone tells. Runs nothing.
 * @throws EmpError unsupported_model naming the families, or the nodes, and what would help
 */
export function checkScorable(
  criterion: StructureCriterion,
  families: readonly ShownFamily[],
  model: OnnxModel,
  inventory: ModelInventory,
): void {
  const needs = scoringOf(criterion, 'structures')?.needs ?? [];
  const sided = (role: 'producers' | 'consumers') =>
    families.map((family) => ({ name: family.name, weights: family[role], isUnread: family.unread }));
  const read = READ_NUMBERS[criterion];
  if (read) refuseUnreadable(criterion, sided(read), inventory);
  if (needs.includes('batch_norm')) checkGammas(families, model, inventory);
  if (needs.includes('layer_outputs')) checkSides(criterion, 'producers', sided('producers'), model);
  if (needs.includes('layer_inputs')) checkSides(criterion, 'consumers', sided('consumers'), model);
  if (needs.includes('layer_matrices')) checkReaders(criterion, sided('consumers'), model, inventory);
  if (needs.includes('gradients')) {
    const weights = [...checkSides(criterion, 'consumers', sided('consumers'), model).keys()];
    if (weights.length > 0) checkDifferentiable(model, weights);
  }
}

/** Numbers that scales make of integers are known where the scales are stored. */
function refuseUnreadable(
  criterion: StructureCriterion,
  families: readonly { readonly name: string; readonly weights: readonly string[] }[],
  { tensors }: ModelInventory,
): void {
  const unreadable = new Map(
    tensors
      .filter((tensor) => !isFloatDtype(tensor.dtype) && !isQuantized(tensor))
      .map(({ name, dtype }) => [name, dtype]),
  );
  const findings = families.flatMap(({ name, weights }) => {
    const weight = weights.find((each) => unreadable.has(each));
    if (weight === undefined) return [];
    const message = `${weight} is ${unreadable.get(weight)}, and not with stored scales and zero points as this program reads and writes them`;
    return [{ path: name, message: `${message}; exclude it or use criterion activation or random` }];
  });
  if (findings.length > 0) throw cannotScore(criterion, findings);
}
