import { EmpError } from '../core/errors.ts';
import { uploadedFamilyScores } from '../criteria/structures/uploaded.ts';
import type { ModelInventory } from '../formats/model.ts';
import { type ScoreArray, scoresByName } from '../formats/score-file.ts';
import type { OnnxModel } from '../graph/onnx-model.ts';
import type { Recipe } from '../pipeline/recipe.ts';
import { selectFamilies } from '../pipeline/structures/select-families.ts';
import { kanStructures } from '../structure/kan-checkpoint.ts';
import { describeStructures, type StructureOverview } from '../structure/overview.ts';

const NO_BATCH_NORM = 'the model has no BatchNormalization; most exports fold it into the convolutions';

/**
 * What is known of a model's structures before a job: of a checkpoint its names tell, of a graph an analysis that was asked for before.
 * @param analysed the latter, null where nobody asked
 */
export function structuresKnown(
  inventory: ModelInventory,
  analysed: StructureOverview | null,
): StructureOverview | null {
  if (inventory.format === 'onnx') return analysed;
  return describeStructures(kanStructures(inventory), inventory);
}

/**
 * Refuses a selection of nothing, and scores that do not fit it.
 * @throws EmpError as `selectFamilies` and `uploadedFamilyScores`, as the job would
 */
export function refuseMissingStructures(
  structures: StructureOverview,
  recipe: Recipe,
  scores: readonly ScoreArray[] | null,
): void {
  const families = selectFamilies(structures, recipe, ({ producers }) => producers);
  const byName = scores && scoresByName(scores);
  if (byName) for (const family of families) uploadedFamilyScores(family, byName);
}

/** Refuses to score by BatchNormalizations of a model without any. Throws EmpError `unsupported_model`. */
export function refuseWithoutBatchNorm({ graph }: OnnxModel, modelField: string): void {
  if (graph.nodes.some(({ op }) => op === 'BatchNormalization')) return;
  throw new EmpError('unsupported_model', `criterion bn_gamma cannot score anything: ${NO_BATCH_NORM}`, [
    { path: '/recipe/criterion', message: `is bn_gamma, and ${NO_BATCH_NORM}` },
    { path: modelField, message: NO_BATCH_NORM },
  ]);
}
