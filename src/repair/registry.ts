import type { ModelInventory } from '../formats/model.ts';
import type { OnnxModel } from '../graph/onnx-model.ts';
import type { EditedInputs } from '../graph/passes/join-constants.ts';
import type { RepairName } from '../recipe/terms.ts';
import { planBatchNorms, repairBatchNorms } from './batch-norm.ts';
import { planBiases, repairBiases } from './bias.ts';
import { planChannelVariance, repairChannelVariance } from './channel-variance.ts';
import { isBias } from './layer-biases.ts';
import { planFits } from './layer-fit.ts';
import { repairByLeastSquares } from './least-squares.ts';
import { repairMasksByLeastSquares } from './least-squares-masks.ts';
import type { RepairContext, RepairPlan, RepairWork } from './repair-context.ts';
import { planSwaps, repairBySwaps } from './swaps.ts';
import type { TensorEdits } from './tensor-edits.ts';
import { isStatistic } from './writable-batch-norms.ts';

interface Repair {
  /** The inputs of nodes that it writes the numbers of, beside layers' weights. */
  readonly writes: EditedInputs;
  /** What it would do to a model whose `weights` were pruned. Runs nothing. */
  readonly plan: (model: OnnxModel, inventory: ModelInventory, weights: readonly string[]) => RepairPlan;
  /** Changes the pruned model through `edits`. Throws what running the models throws. */
  readonly repair: (context: RepairContext, edits: TensorEdits) => Promise<RepairWork>;
}

/** The repairs by their names in a recipe. */
export const REPAIRS: Readonly<Record<RepairName, Repair>> = {
  batch_norm: { writes: isStatistic, plan: planBatchNorms, repair: repairBatchNorms },
  channel_variance: { writes: isBias, plan: planChannelVariance, repair: repairChannelVariance },
  bias: { writes: isBias, plan: planBiases, repair: repairBiases },
  least_squares: { writes: () => false, plan: planFits, repair: repairByLeastSquares },
  least_squares_masks: { writes: () => false, plan: planFits, repair: repairMasksByLeastSquares },
  swaps: { writes: () => false, plan: planSwaps, repair: repairBySwaps },
};
