import type { ModelInventory } from '../formats/model.ts';
import type { Lane } from '../jobs/job-lanes.ts';
import { isUsed } from '../recipe/needs.ts';
import type { Recipe } from '../recipe/recipe.ts';

/** A gigabyte of float32 is read, decided and written in three seconds. */
const SHORT_PARAMETERS = 2 ** 28;

/**
 * The lane of a job that its plan shows to end in seconds is the short one: it scores the weights of a model of moderate size by its
 * files alone. What runs a model takes as long as the model likes.
 */
export function chooseLane(
  recipe: Recipe,
  { nParameters }: Pick<ModelInventory, 'nParameters'>,
  evaluation: object | null,
): Lane {
  const runsModel = recipe.granularity !== 'weight' || evaluation !== null || isUsed(recipe, 'calibration');
  // A search writes many models.
  const searches = recipe.target !== undefined;
  return !runsModel && !searches && nParameters <= SHORT_PARAMETERS ? 'short' : 'long';
}
