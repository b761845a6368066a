import { modelInputs, readStoredGraph } from '../graph/interface.ts';
import { isUsed, refuseUnmetNeeds, type UnusedInput, unusedInputs } from '../recipe/needs.ts';
import { checkSamples } from '../runtime/check-samples.ts';
import type { PruneInput } from './prune-job.ts';

/** A job's input without what its recipe has no use for. */
export interface UsedInput extends PruneInput {
  readonly unused: readonly UnusedInput[];
}

/**
 * Leaves out what the recipe has no use for, and gives samples the names of the model's inputs.
 * @throws EmpError as `refuseUnmetNeeds` and `checkSamples`
 */
export async function usedInputs(input: PruneInput): Promise<UsedInput> {
  const { model, recipe, scores, evaluation } = input;
  refuseUnmetNeeds(recipe, { ...input, inventory: model.inventory });
  const calibration = isUsed(recipe, 'calibration') ? input.calibration : null;
  const used = { ...input, calibration, scores: isUsed(recipe, 'scores') ? scores : null };
  const unused = unusedInputs(recipe, input);
  if (!calibration && !evaluation) return { ...used, unused };
  const expected = modelInputs(await readStoredGraph(model.directory, model.inventory));
  return {
    ...used,
    calibration: calibration && checkSamples(calibration, expected, 'calibration'),
    evaluation: evaluation && checkSamples(evaluation, expected, 'evaluation'),
    unused,
  };
}
