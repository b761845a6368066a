import { checkDifferentiable } from '../autodiff/differentiable.ts';
import { EmpError, type InputFinding } from '../core/errors.ts';
import { checkCapturable } from '../criteria/capturable.ts';
import { isGradientCriterion } from '../criteria/gradient-scores.ts';
import { uploadedRange } from '../criteria/uploaded-scores.ts';
import type { ModelInventory, ModelTensor } from '../formats/model.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import { type ScoreArray, scoresByName } from '../formats/score-file.ts';
import { modelInputs, readStoredGraph } from '../graph/interface.ts';
import { declaresSquaredErrors } from '../graph/measured-output.ts';
import { findLayerSites } from '../graph/onnx-inventory.ts';
import { refuseReservedNames } from '../pipeline/artifact-names.ts';
import type { Recipe } from '../pipeline/recipe.ts';
import { prunedWeights } from '../pipeline/select-tensors.ts';
import { targetWithoutAccuracy } from '../pipeline/target-check.ts';
import { checkSamples } from '../runtime/check-samples.ts';
import type { StructureOverview } from '../structure/overview.ts';
import { refuseUselessRepairs } from './repair-check.ts';
import { refuseMissingStructures, refuseWithoutBatchNorm, structuresKnown } from './structure-check.ts';

/** A job as it was asked for, with what its ids stand for. */
export interface JobToCheck {
  readonly recipe: Recipe;
  readonly inventory: ModelInventory;
  /** Holds the inventory's files. */
  readonly modelDirectory: string;
  /** What an analysis of the model has found; null where there was none, or none is needed. */
  readonly structures: StructureOverview | null;
  readonly scores: readonly ScoreArray[] | null;
  readonly calibration: SampleSet | null;
  readonly evaluation: SampleSet | null;
}

/** What the request calls them: JSON pointers, or names of parts. */
export interface JobFields {
  readonly model: string;
  readonly scores: string;
  readonly calibration: string;
  readonly evaluation: string;
}

/** What each criterion scores by, beside the weights. */
const CRITERION_DATA = {
  magnitude: null,
  wanda: 'calibration',
  activation: 'calibration',
  taylor: 'calibration',
  saliency: 'calibration',
  taylor_rms: 'calibration',
  saliency_rms: 'calibration',
  l2_norm: null,
  bn_gamma: null,
  variance: 'calibration',
  kan_node: null,
  random: null,
  scores: 'scores',
} as const satisfies Record<Recipe['criterion'], 'scores' | 'calibration' | null>;

/**
 * Refuses a job that could only fail, before it is acknowledged: nothing to prune, globs that match nothing, scores
 * or data that are missing, too much, or do not fit the model, files named like the job's own.
 * @throws EmpError naming the fields
 */
export async function checkJob(job: JobToCheck, fields: JobFields): Promise<void> {
  refuseWithoutGraph(job, fields);
  refuseUnpaired(job, fields, 'scores');
  refuseUnpaired(job, fields, 'calibration');
  refuseUnlabelled(job, fields);
  refuseUnevaluated(job, fields);
  const { recipe, inventory, scores } = job;
  refuseReservedNames(inventory);
  const weights = prunedWeights(inventory, recipe);
  if (recipe.granularity === 'weight') {
    const byName = scores && scoresByName(scores);
    if (byName) for (const tensor of weights) uploadedRange(tensor, byName);
  } else {
    const structures = structuresKnown(inventory, job.structures);
    if (structures) refuseMissingStructures(structures, recipe, scores);
  }
  await refuseMisfits(job, fields, weights);
}

/** Where the recipe needs the model's graph, mostly to run it, and by what name. */
function reasonsToRun({ recipe, evaluation }: JobToCheck, fields: JobFields): InputFinding[] {
  const { criterion, granularity, target, sweep_betas, hessian_probes, repair } = recipe;
  const isInGraph = CRITERION_DATA[criterion] === 'calibration' || criterion === 'bn_gamma';
  const reasons: [boolean, string, string][] = [
    [granularity === 'channel' || granularity === 'head', '/recipe/granularity', `is ${granularity}`],
    [isInGraph, '/recipe/criterion', `is ${criterion}`],
    [hessian_probes > 0, '/recipe/hessian_probes', `is ${hessian_probes}`],
    [repair.length > 0, '/recipe/repair', 'is given'],
    [target !== undefined, '/recipe/target', 'is given'],
    [sweep_betas !== undefined && sweep_betas.length > 0, '/recipe/sweep_betas', 'is given'],
    [evaluation !== null, fields.evaluation, 'is given'],
  ];
  return reasons.flatMap(([applies, path, message]) =>
    applies ? { path, message: `${message}, and needs a model that runs` } : [],
  );
}

function refuseWithoutGraph(job: JobToCheck, fields: JobFields): void {
  const { format } = job.inventory;
  const reasons = format === 'onnx' ? [] : reasonsToRun(job, fields);
  if (reasons.length === 0) return;
  const advice = `a ${format} file holds no graph to run: send the ONNX export`;
  throw new EmpError('invalid_request', advice, [...reasons, { path: fields.model, message: advice }]);
}

/** What of a recipe takes data: the criterion, the estimate of a trace, or repairs; the criterion where nothing does. */
function takerOf({ criterion, hessian_probes, repair }: Recipe, kind: 'scores' | 'calibration') {
  const byCriterion = {
    path: '/recipe/criterion',
    name: `criterion ${criterion}`,
    field: 'the criterion',
    is: `is ${criterion}`,
  };
  if (kind === 'scores' || CRITERION_DATA[criterion] === kind) return byCriterion;
  if (hessian_probes > 0) {
    const field = 'hessian_probes';
    return { path: `/recipe/${field}`, name: field, field, is: `is ${hessian_probes}` };
  }
  if (repair.length === 0) return byCriterion;
  return { path: '/recipe/repair', name: 'repair', field: 'repair', is: `is ${repair.join(', ')}` };
}

/** What a criterion scores by, a trace is estimated on, or models are repaired by, comes with it or not at all. */
function refuseUnpaired(job: JobToCheck, fields: JobFields, kind: 'scores' | 'calibration'): void {
  const { criterion, hessian_probes, repair } = job.recipe;
  const isRun = hessian_probes > 0 || repair.length > 0;
  const wanted = CRITERION_DATA[criterion] === kind || (kind === 'calibration' && isRun);
  if (wanted === (job[kind] !== null)) return;
  const what = kind === 'scores' ? 'scores' : 'calibration data';
  const field = fields[kind];
  const taker = takerOf(job.recipe, kind);
  const [problem, advice] = wanted
    ? [`${taker.name} needs ${what}`, 'is missing']
    : [`${taker.name} takes no ${what}`, 'is given'];
  throw new EmpError('invalid_request', `${problem}: ${field} ${advice}`, [
    { path: taker.path, message: `${taker.is}, and ${field} ${advice}` },
    { path: field, message: `${advice}, and ${taker.field} ${taker.is}` },
  ]);
}

/** Gradients and curvature are those of a loss. */
function refuseUnlabelled({ recipe, calibration }: JobToCheck, fields: JobFields): void {
  if (!needsGradients(recipe) || calibration?.labels) return;
  const needs = 'needs calibration data with labels';
  const field = fields.calibration;
  const taker = takerOf(recipe, 'calibration');
  throw new EmpError('invalid_request', `${taker.name} ${needs}: ${field} has no labels`, [
    { path: taker.path, message: `${taker.is} and ${needs}, and ${field} has no labels` },
    { path: field, message: `has no labels, and ${taker.field} ${taker.is}` },
  ]);
}

function needsGradients({ criterion, hessian_probes }: Recipe): boolean {
  return isGradientCriterion(criterion) || hessian_probes > 0;
}

/** A search and a sweep measure; a search measures what labels are needed for. */
function refuseUnevaluated({ recipe, evaluation }: JobToCheck, fields: JobFields): void {
  const { target, sweep_betas = [] } = recipe;
  const asked = [target ? 'target' : [], sweep_betas.length > 0 ? 'sweep_betas' : []].flat();
  if (asked.length === 0) return;
  const lacks = !evaluation ? 'is missing' : target && !evaluation.labels ? 'has no labels' : null;
  if (lacks === null) return;
  const who = evaluation ? ['target'] : asked;
  const needs = evaluation ? 'evaluation data with labels' : 'evaluation data';
  const field = fields.evaluation;
  throw new EmpError(
    'invalid_request',
    `${who.join(' and ')} ${who.length > 1 ? 'need' : 'needs'} ${needs}: ${field} ${lacks}`,
    [
      ...who.map((name) => ({ path: `/recipe/${name}`, message: `needs ${needs}, and ${field} ${lacks}` })),
      { path: field, message: `${lacks}, and the recipe has ${who.join(' and ')}` },
    ],
  );
}

/** The data must fit the model's inputs, and the model show what the criterion scores by; which weights that concerns of structures, only their analysis knows. */
async function refuseMisfits(
  job: JobToCheck,
  fields: JobFields,
  weights: readonly ModelTensor[],
): Promise<void> {
  const { recipe, calibration, evaluation, inventory, modelDirectory } = job;
  const { criterion, granularity } = recipe;
  if (!calibration && !evaluation && criterion !== 'bn_gamma') return;
  const model = await readStoredGraph(modelDirectory, inventory);
  const inputs = modelInputs(model);
  if (calibration) checkSamples(calibration, inputs, fields.calibration);
  if (evaluation) checkSamples(evaluation, inputs, fields.evaluation);
  const needsAccuracy = recipe.target?.max_accuracy_drop !== undefined;
  if (needsAccuracy && evaluation?.labels && declaresSquaredErrors(model, evaluation.labels))
    throw targetWithoutAccuracy(fields.evaluation);
  if (criterion === 'bn_gamma') refuseWithoutBatchNorm(model, fields.model);
  const isOfWeights = granularity === 'weight';
  if (isOfWeights && (criterion === 'wanda' || criterion === 'activation'))
    checkCapturable(criterion, findLayerSites(model), weights);
  refuseUselessRepairs(recipe.repair, { model, inventory, tensors: weights }, fields.model);
  if (isOfWeights && needsGradients(recipe))
    checkDifferentiable(
      model,
      weights.map(({ name }) => name),
    );
}
