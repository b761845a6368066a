import { checkDifferentiable } from '../autodiff/differentiable.ts';
import { EmpError, ofInput } from '../core/errors.ts';
import { checkCapturable } from '../criteria/capturable.ts';
import { checkScorable } from '../criteria/scorable.ts';
import { uploadedFamilyScores } from '../criteria/structures/scores.ts';
import { uploadedRange } from '../criteria/weights/scores.ts';
import type { ModelInventory, ModelTensor } from '../formats/model.ts';
import type { GivenSamples } from '../formats/sample-set.ts';
import { type ScoreArray, scoresByName } from '../formats/score-file.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import { checkAppendable } from '../graph/appendix.ts';
import { refuseBfloat16 } from '../graph/bfloat16.ts';
import { modelInputs, modelOutputs, readStoredGraph } from '../graph/interface.ts';
import { declaresSquaredErrors } from '../graph/measured-output.ts';
import { findLayerSites } from '../graph/onnx-inventory.ts';
import type { OnnxModel } from '../graph/onnx-model.ts';
import type { JobRequest } from '../jobs/job.ts';
import { refuseReservedNames } from '../pipeline/artifact-names.ts';
import { targetWithoutAccuracy } from '../pipeline/data-errors.ts';
import { refuseTooFew } from '../pipeline/promise-test.ts';
import { selectFamilies } from '../pipeline/structures/select.ts';
import { prunedWeights } from '../pipeline/weights/select.ts';
import type { StructureCriterion } from '../recipe/criteria.ts';
import { isUsed, needsOf, refuseUnmetNeeds, takesGradients } from '../recipe/needs.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { targetOf } from '../recipe/target.ts';
import { fixedBatchSize } from '../runtime/batches.ts';
import { checkSamples, refuseUncountedLabels } from '../runtime/check-samples.ts';
import { kanStructures } from '../structure/kan-checkpoint.ts';
import { describeStructures, type StructureOverview } from '../structure/overview.ts';
import { chooseLane } from './choose-lane.ts';

/** What the ids of a job stand for; null where it has none. */
export interface JobInputs {
  readonly model: StoredModel & { readonly id: string };
  readonly scores: { readonly id: string; readonly content: readonly ScoreArray[] } | null;
  readonly calibration: { readonly id: string; readonly content: GivenSamples } | null;
  readonly selection: { readonly id: string; readonly content: GivenSamples } | null;
  readonly evaluation: { readonly id: string; readonly content: GivenSamples } | null;
}

/**
 * Makes a job of a recipe and what it is to work on, as it can be queued. One that could only fail is refused before it is acknowledged: nothing to prune, globs that match nothing, scores
 * or data that are missing or do not fit the model, files named like the job's own.
 * @param structures what an analysis of the model has found; null where there was none
 * @throws EmpError naming fields of the recipe, inputs of the job, tensors or nodes
 */
export async function planJob(
  recipe: Recipe,
  inputs: JobInputs,
  structures: StructureOverview | null,
): Promise<Omit<JobRequest, 'metadata' | 'priority'>> {
  const { model, scores, calibration, selection, evaluation } = inputs;
  const { inventory } = model;
  refuseUnmetNeeds(recipe, {
    inventory,
    scores,
    calibration: calibration?.content ?? null,
    selection: selection?.content ?? null,
    evaluation: evaluation?.content ?? null,
  });
  refuseReservedNames(inventory);
  const weights = prunedWeights(inventory, recipe);
  const byName = scores && isUsed(recipe, 'scores') ? scoresByName(scores.content) : null;
  let families: StructureOverview['families'] = [];
  if (recipe.granularity === 'weight') {
    if (byName) for (const tensor of weights) uploadedRange(tensor, byName);
  } else {
    const known = inventory.format === 'onnx' ? structures : structuresOf(inventory);
    families = known ? selectFamilies(known, recipe, ({ producers }) => producers) : [];
    if (byName) for (const family of families) uploadedFamilyScores(family, byName);
  }
  await refuseMisfits(recipe, inputs, weights, families);
  return {
    model_id: model.id,
    scores_dataset_id: scores?.id ?? null,
    calibration_dataset_id: calibration?.id ?? null,
    ...(selection && { selection_dataset_id: selection.id }),
    evaluation_dataset_id: evaluation?.id ?? null,
    recipe,
    lane: chooseLane(recipe, inventory, evaluation),
  };
}

function chosenOnReported(): EmpError {
  const advice = 'give other samples to choose on, or none: then the evaluation data are halved';
  return new EmpError('invalid_request', `selection and evaluation data are the same: ${advice}`, [
    ofInput('selection', `is the evaluation data; ${advice}`),
  ]);
}

/** Of a checkpoint, whose tensors' names tell. */
function structuresOf(inventory: ModelInventory): StructureOverview {
  return describeStructures(kanStructures(inventory), inventory);
}

/** The data must fit the model's inputs, and the model show what the criterion scores by: of structures as far as their analysis was asked for. */
async function refuseMisfits(
  recipe: Recipe,
  { model, calibration, selection, evaluation }: JobInputs,
  weights: readonly ModelTensor[],
  families: StructureOverview['families'],
): Promise<void> {
  const { criterion, granularity, allocation, repair, target } = recipe;
  const needs = needsOf(recipe);
  const used = isUsed(recipe, 'calibration') ? calibration : null;
  const chosenOn = isUsed(recipe, 'selection') ? selection : null;
  const isInGraph = needs.includes('graph') || (families.length > 0 && model.inventory.format === 'onnx');
  if (!used && !evaluation && !isInGraph) return;
  const graph = await readStoredGraph(model);
  const scoresByForwardPasses = needs.includes('calibration') && !needs.includes('labels');
  const isRun = scoresByForwardPasses || repair.length > 0 || allocation === 'auto';
  if (evaluation || (used && isRun)) refuseBfloat16(graph);
  const expected = modelInputs(graph);
  for (const [data, set] of [
    ['calibration', used],
    ['selection', chosenOn],
    ['evaluation', evaluation],
  ] as const) {
    if (!set) continue;
    const samples = checkSamples(set.content, expected, data);
    refuseUncountedLabels(samples, expected, modelOutputs(graph), data);
    if (target && targetOf(recipe) && data === 'evaluation')
      refuseTooFew(target, samples.nSamples, fixedBatchSize(expected, samples) ?? 1, chosenOn === null);
    const { labels } = set.content;
    const isAsked = target?.max_accuracy_drop !== undefined && data !== 'calibration';
    if (isAsked && labels && declaresSquaredErrors(graph, labels)) throw targetWithoutAccuracy(data);
  }
  if (chosenOn && chosenOn.id === evaluation?.id) throw chosenOnReported();
  if (used && (scoresByForwardPasses || repair.some((kind) => kind !== 'batch_norm'))) checkAppendable(graph);
  if (needs.includes('batch_norm')) refuseWithoutBatchNorm(recipe, graph);
  if (granularity !== 'weight') {
    if (families.length > 0) checkScorable(criterion as StructureCriterion, families, graph, model.inventory);
    return;
  }
  for (const side of ['input', 'output'] as const) {
    if (needs.includes(`layer_${side}s`)) checkCapturable(criterion, side, findLayerSites(graph), weights);
  }
  if (takesGradients(recipe)) {
    const names = weights.map(({ name }) => name);
    checkDifferentiable(graph, names);
  }
}

function refuseWithoutBatchNorm({ criterion }: Recipe, { graph }: OnnxModel): void {
  if (graph.nodes.some(({ op }) => op === 'BatchNormalization')) return;
  const reason = 'the model has no BatchNormalization; most exports fold it into the convolutions';
  throw new EmpError('unsupported_model', `criterion ${criterion} cannot score anything: ${reason}`, [
    { path: '/recipe/criterion', message: `is ${criterion}, and ${reason}` },
    ofInput('model', reason),
  ]);
}
