import type { ModelInventory } from '../formats/model.ts';
import type { JobRequest } from '../jobs/job.ts';
import { checkComparable } from '../pipeline/compare/check-comparable.ts';
import { recipeSchema } from '../recipe/recipe.ts';
import type { Store } from '../storage/store.ts';
import { chooseLane } from './choose-lane.ts';
import { readJobInputs, storedInputs, unusable } from './job-inputs.ts';

/** What is to be compared, by ids. */
export interface ComparisonIds {
  readonly original: string;
  readonly pruned: string;
  readonly evaluation: string | null;
}

/**
 * Makes a job of two models and what they are measured on. One that could only fail is refused before it is acknowledged.
 * @throws EmpError invalid_request where one is not there, or both are the same, and as `checkComparable`
 */
export async function planComparison(
  store: Store,
  { original, pruned, evaluation }: ComparisonIds,
): Promise<Omit<JobRequest, 'metadata' | 'priority'>> {
  if (original === pruned)
    throw unusable('pruned', `both ids name model ${original}: give the original and what became of it`);
  const others = { scores_dataset_id: null, calibration_dataset_id: null, evaluation_dataset_id: evaluation };
  await using inputs = await readJobInputs(store, storedInputs({ model_id: original, ...others }));
  const inventory = await store.readJson<ModelInventory>('models', pruned, 'inventory.json');
  if (!inventory) throw unusable('pruned', `there is no model ${pruned}`);
  await using files = await store.checkOut('models', pruned);
  const other = { directory: files.directory, inventory };
  await checkComparable(inputs.model, other, inputs.evaluation?.content ?? null);
  const recipe = recipeSchema.parse({});
  const nParameters = inputs.model.inventory.nParameters + inventory.nParameters;
  return {
    ...{ model_id: original, pruned_model_id: pruned, ...others, recipe },
    lane: chooseLane(recipe, { nParameters }, inputs.evaluation),
  };
}
