import { EmpError } from '../core/errors.ts';
import type { ModelInventory, ModelTensor } from '../formats/model.ts';
import type { OnnxModel } from '../graph/onnx-model.ts';
import { REPAIRS } from '../repair/registry.ts';
import type { RepairName } from '../repair/repair-names.ts';

interface ModelToRepair {
  readonly model: OnnxModel;
  readonly inventory: ModelInventory;
  /** Those that are pruned. */
  readonly tensors: readonly ModelTensor[];
}

const NO_BATCH_NORM =
  'the model has no BatchNormalization; most exports fold it into the convolutions, for which there are bias and least_squares';

/**
 * Refuses a repair that would find nothing to repair.
 * @param modelField what the request calls the model
 * @throws EmpError `invalid_request`
 */
export function refuseUselessRepairs(
  repairs: readonly RepairName[],
  { model, inventory, tensors }: ModelToRepair,
  modelField: string,
): void {
  const weights = tensors.map(({ name }) => name);
  for (const [i, name] of repairs.entries()) {
    const { nRepaired, leftOut } = REPAIRS[name].plan(model, inventory, weights);
    if (nRepaired > 0) continue;
    const [first, ...others] = leftOut;
    const more = others.length > 0 ? ` (and ${others.length} more)` : '';
    const reason = first ? `${first.name} ${first.reason}${more}` : NO_BATCH_NORM;
    const message = `repair ${name} has nothing to repair: ${reason}`;
    throw new EmpError('invalid_request', message, [
      { path: `/recipe/repair/${i}`, message },
      { path: modelField, message: reason },
    ]);
  }
}
