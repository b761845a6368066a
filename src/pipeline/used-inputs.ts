import { EmpError } from '../core/errors.ts';
import type { GivenSamples, SampleSet } from '../formats/sample-set.ts';
import { modelInputs, type OnnxInput, readStoredGraph } from '../graph/interface.ts';
import { isUsed, refuseUnmetNeeds, type UnusedInput, unusedInputs } from '../recipe/needs.ts';
import { checkSamples } from '../runtime/check-samples.ts';
import type { PruneInput, UsedInput } from './prune-job.ts';

/**
 * Leaves out what the recipe has no use for, and gives samples the names of the model's inputs.
 * @throws EmpError as `refuseUnmetNeeds` and `checkSamples`
 */
export async function usedInputs(
  given: PruneInput,
): Promise<{ input: UsedInput; unused: readonly UnusedInput[] }> {
  const { model, recipe, scores, evaluation } = given;
  refuseUnmetNeeds(recipe, { ...given, inventory: model.inventory });
  const calibration = isUsed(recipe, 'calibration') ? given.calibration : null;
  const selection = isUsed(recipe, 'selection') ? given.selection : null;
  const input = { ...given, scores: isUsed(recipe, 'scores') ? scores : null };
  const unused = unusedInputs(recipe, given);
  if (!calibration && !evaluation)
    return {
      input: { ...input, calibration: null, unusedCalibration: null, selection: null, evaluation: null },
      unused,
    };
  const expected = modelInputs(await readStoredGraph(model));
  return {
    input: {
      ...input,
      calibration: calibration && checkSamples(calibration, expected, 'calibration'),
      unusedCalibration: calibration ? null : fittingSamples(given.calibration, expected),
      selection: selection && checkSamples(selection, expected, 'selection'),
      evaluation: evaluation && checkSamples(evaluation, expected, 'evaluation'),
    },
    unused,
  };
}

/** Data without a use are refused for nothing: null where they do not fit the model. */
function fittingSamples(given: GivenSamples | null, expected: readonly OnnxInput[]): SampleSet | null {
  try {
    return given && checkSamples(given, expected, 'calibration');
  } catch (error) {
    if (error instanceof EmpError) return null;
    throw error;
  }
}
