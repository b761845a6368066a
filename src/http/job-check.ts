import { EmpError } from '../core/errors.ts';
import { uploadedScores } from '../criteria/uploaded-scores.ts';
import type { ModelInventory } from '../formats/model.ts';
import { type ScoreArray, scoresByName } from '../formats/score-file.ts';
import { refuseReservedNames } from '../pipeline/artifact-names.ts';
import type { Recipe } from '../pipeline/recipe.ts';
import { selectTensors } from '../pipeline/select-tensors.ts';

/**
 * Refuses a job that could only fail, before it is acknowledged: nothing to prune, globs that match nothing, scores
 * that do not fit, files named like the job's own.
 * @throws EmpError naming the fields
 */
export async function checkRecipe(
  recipe: Recipe,
  inventory: ModelInventory,
  scores: readonly ScoreArray[] | null,
  scoresField: string,
): Promise<void> {
  refuseUnpaired(recipe, scores !== null, scoresField);
  refuseReservedNames(inventory);
  const tensors = selectTensors(inventory, recipe);
  if (!scores) return;
  const context = { modelDirectory: '', scratchDirectory: '', scores: scoresByName(scores) };
  for (const tensor of tensors) await uploadedScores(tensor, context);
}

/** Criterion `scores` and the scores themselves come together or not at all. */
function refuseUnpaired(recipe: Recipe, hasScores: boolean, scoresField: string): void {
  const wanted = recipe.criterion === 'scores';
  if (wanted === hasScores) return;
  const [problem, advice] = wanted
    ? ['criterion scores needs the scores', 'is missing']
    : [`criterion ${recipe.criterion} takes no scores`, 'is given'];
  throw new EmpError('invalid_request', `${problem}: ${scoresField} ${advice}`, [
    { path: '/recipe/criterion', message: `is ${recipe.criterion}, and ${scoresField} ${advice}` },
    { path: scoresField, message: `${advice}, and the criterion is ${recipe.criterion}` },
  ]);
}
