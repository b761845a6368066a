import type { ModelInventory } from '../formats/model.ts';
import type { OnnxModel } from '../graph/onnx-model.ts';
import type { RepairName } from '../recipe/terms.ts';
import { planBatchNorms, repairBatchNorms } from './batch-norm.ts';
import { planBiases, repairBiases } from './bias.ts';
import { planLeastSquares, repairByLeastSquares } from './least-squares.ts';
import type { RepairContext, RepairPlan, RepairWork } from './repair-context.ts';
import type { TensorEdits } from './tensor-edits.ts';

interface Repair {
  /** What it would do to a model whose `weights` were pruned. Runs nothing. */
  readonly plan: (model: OnnxModel, inventory: ModelInventory, weights: readonly string[]) => RepairPlan;
  /** Changes the pruned model through `edits`. Throws what running the models throws. */
  readonly repair: (context: RepairContext, edits: TensorEdits) => Promise<RepairWork>;
}

/** The repairs by their names in a recipe. */
export const REPAIRS: Readonly<Record<RepairName, Repair>> = {
  batch_norm: { plan: planBatchNorms, repair: repairBatchNorms },
  bias: { plan: planBiases, repair: repairBiases },
  least_squares: { plan: planLeastSquares, repair: repairByLeastSquares },
};
