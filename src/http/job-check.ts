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
  const { criterion, target, sweep_betas } = recipe;
  const reasons: [boolean, string, string][] = [
    [CRITERION_DATA[criterion] === 'calibration', '/recipe/criterion', `is ${criterion}`],
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

/** What a criterion scores by and the criterion come together or not at all. */
function refuseUnpaired(job: JobToCheck, fields: JobFields, kind: 'scores' | 'calibration'): void {
  const { criterion } = job.recipe;
  const wanted = CRITERION_DATA[criterion] === kind;
  if (wanted === (job[kind] !== null)) return;
  const what = kind === 'scores' ? 'scores' : 'calibration data';
  const field = fields[kind];
  const [problem, advice] = wanted
    ? [`criterion ${criterion} needs ${what}`, 'is missing']
    : [`criterion ${criterion} takes no ${what}`, 'is given'];
  throw new EmpError('invalid_request', `${problem}: ${field} ${advice}`, [
    { path: '/recipe/criterion', message: `is ${criterion}, and ${field} ${advice}` },
    { path: field, message: `${advice}, and the criterion is ${criterion}` },
  ]);
}

/** Gradients are those of a loss. */
function refuseUnlabelled({ recipe: { criterion }, calibration }: JobToCheck, fields: JobFields): void {
  if (!isGradientCriterion(criterion) || calibration?.labels) return;
  const needs = 'needs calibration data with labels';
  const field = fields.calibration;
  throw new EmpError('invalid_request', `criterion ${criterion} ${needs}: ${field} has no labels`, [
    { path: '/recipe/criterion', message: `is ${criterion} and ${needs}, and ${field} has no labels` },
    { path: field, message: `has no labels, and the criterion is ${criterion}` },
  ]);
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
  if (isGradientCriterion(criterion))
    checkDifferentiable(
      model,
      tensors.map(({ name }) => name),
    );
}
