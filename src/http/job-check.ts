import { checkDifferentiable } from '../autodiff/differentiable.ts';
import { EmpError, type InputFinding } from '../core/errors.ts';
import { checkCapturable } from '../criteria/capturable.ts';
import { isGradientCriterion } from '../criteria/gradient-scores.ts';
import { uploadedRange } from '../criteria/uploaded-scores.ts';
import type { ModelInventory, ModelTensor } from '../formats/model.ts';
import { modelInputs, readStoredGraph } from '../formats/onnx/interface.ts';
import { findLayerSites } from '../formats/onnx/model.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import { type ScoreArray, scoresByName } from '../formats/score-file.ts';
import { refuseReservedNames } from '../pipeline/artifact-names.ts';
import type { Recipe } from '../pipeline/recipe.ts';
import { selectTensors } from '../pipeline/select-tensors.ts';
import { checkSamples } from '../runtime/check-samples.ts';

/** A job as it was asked for, with what its ids stand for. */
export interface JobToCheck {
  readonly recipe: Recipe;
  readonly inventory: ModelInventory;
  /** Holds the inventory's files. */
  readonly modelDirectory: string;
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
  const tensors = selectTensors(inventory, recipe);
  const byName = scores && scoresByName(scores);
  if (byName) for (const tensor of tensors) uploadedRange(tensor, byName);
  await refuseMisfits(job, fields, tensors);
}

/** Where the recipe needs the model to run, and by what name. */
function reasonsToRun({ recipe, evaluation }: JobToCheck, fields: JobFields): InputFinding[] {
  const { criterion, target, sweep_betas, hessian_probes } = recipe;
  const reasons: [boolean, string, string][] = [
    [CRITERION_DATA[criterion] === 'calibration', '/recipe/criterion', `is ${criterion}`],
    [hessian_probes > 0, '/recipe/hessian_probes', `is ${hessian_probes}`],
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

/** What of a recipe takes data: the estimate of a trace, or the criterion. */
function takerOf({ criterion, hessian_probes }: Recipe, kind: 'scores' | 'calibration') {
  return kind === 'calibration' && hessian_probes > 0
    ? {
        path: '/recipe/hessian_probes',
        name: 'hessian_probes',
        field: 'hessian_probes',
        is: `is ${hessian_probes}`,
      }
    : {
        path: '/recipe/criterion',
        name: `criterion ${criterion}`,
        field: 'the criterion',
        is: `is ${criterion}`,
      };
}

/** What a criterion scores by, or a trace is estimated on, comes with it or not at all. */
function refuseUnpaired(job: JobToCheck, fields: JobFields, kind: 'scores' | 'calibration'): void {
  const { criterion, hessian_probes } = job.recipe;
  const wanted = CRITERION_DATA[criterion] === kind || (kind === 'calibration' && hessian_probes > 0);
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

/** The data must fit the model's inputs, and the model show what the criterion scores by. */
async function refuseMisfits(
  job: JobToCheck,
  fields: JobFields,
  tensors: readonly ModelTensor[],
): Promise<void> {
  const { recipe, calibration, evaluation, inventory, modelDirectory } = job;
  if (!calibration && !evaluation) return;
  const model = await readStoredGraph(modelDirectory, inventory);
  const inputs = modelInputs(model);
  if (calibration) checkSamples(calibration, inputs, fields.calibration);
  if (evaluation) checkSamples(evaluation, inputs, fields.evaluation);
  const { criterion } = recipe;
  if (criterion === 'wanda' || criterion === 'activation')
    checkCapturable(criterion, findLayerSites(model), tensors);
  if (needsGradients(recipe))
    checkDifferentiable(
      model,
      tensors.map(({ name }) => name),
    );
}
