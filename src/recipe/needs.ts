import { EmpError, type InputFinding, type JobInput, ofInput } from '../core/errors.ts';
import { type Need, scoringOf } from './criteria.ts';
import type { Recipe } from './recipe.ts';
import { sizeTargetOf, speedTargetOf, targetOf } from './target.ts';
import { GRANULARITIES, kindOf, needsLabels } from './terms.ts';

/** What comes with a recipe, as far as its needs go: null where it did not come. */
export interface GivenInputs {
  readonly inventory: { readonly format: 'onnx' | 'safetensors' };
  readonly scores: object | null;
  readonly calibration: { readonly labels: object | null } | null;
  readonly selection: { readonly labels: object | null } | null;
  readonly evaluation: { readonly labels: object | null } | null;
}

/** Data that came with a recipe that has no use for them. */
export interface UnusedInput {
  readonly input: 'scores' | 'calibration' | 'selection';
  /** In a sentence of its own. */
  readonly reason: string;
}

/** What of a recipe needs something. */
interface Taker {
  readonly field: 'criterion' | 'allocation' | 'sensitivity' | 'hessian_probes' | 'repair';
  readonly value: string;
  readonly needs: readonly Need[];
}

/** Whether the model is looked at for what a criterion needs of it: its layers, its operators, its BatchNormalizations. */
export function needsOf({ criterion, granularity }: Recipe): readonly Need[] {
  return scoringOf(criterion, kindOf(granularity))?.needs ?? [];
}

/** In the order in which a finding names the first that needs something. */
function takersOf(recipe: Recipe): Taker[] {
  const { criterion, allocation, sensitivity, hessian_probes, repair } = recipe;
  const takers: Taker[] = [{ field: 'criterion', value: criterion, needs: needsOf(recipe) }];
  if (allocation === 'auto') takers.push({ field: 'allocation', value: allocation, needs: ['calibration'] });
  if (sensitivity) takers.push({ field: 'sensitivity', value: 'true', needs: ['calibration'] });
  if (hessian_probes > 0)
    takers.push({ field: 'hessian_probes', value: String(hessian_probes), needs: ['calibration', 'labels'] });
  if (repair.length > 0) takers.push({ field: 'repair', value: repair.join(', '), needs: ['calibration'] });
  return takers;
}

/** As the subject of a sentence. */
function nameOf({ field, value }: Taker): string {
  return field === 'criterion' ? `criterion ${value}` : field;
}

/** Whether anything of a recipe is computed on such data. */
export function isUsed(recipe: Recipe, input: UnusedInput['input']): boolean {
  if (input === 'selection') return targetOf(recipe) !== null;
  return takersOf(recipe).some(({ needs }) => needs.includes(input));
}

/** Whether outputs are compared with the dense model's, whatever labels there are. */
export function comparesOutputs(recipe: Recipe): boolean {
  const target = targetOf(recipe);
  return target !== null && !needsLabels(target.name);
}

/** Whether gradients of a loss are taken of the model. */
export function takesGradients(recipe: Recipe): boolean {
  return takersOf(recipe).some(({ needs }) => needs.includes('labels'));
}

/** The data that a recipe has no use for. They are no reason to refuse a job: it runs without them, and says so. */
export function unusedInputs(recipe: Recipe, given: Pick<GivenInputs, UnusedInput['input']>): UnusedInput[] {
  const takers = takersOf(recipe).map(nameOf);
  const who = `${takers.join(' and ')} ${takers.length > 1 ? 'take' : 'takes'}`;
  return (['scores', 'calibration', 'selection'] as const).flatMap((input) => {
    if (given[input] === null || isUsed(recipe, input)) return [];
    const isTarget = input === 'selection';
    return { input, reason: isTarget ? 'there is no target to search' : `${who} no ${INPUT_WORDS[input]}` };
  });
}

/** In a sentence. */
export const INPUT_WORDS = {
  scores: 'scores',
  calibration: 'calibration data',
  selection: 'selection data',
} as const;

/**
 * Refuses a recipe without what it needs: a graph to run, scores, data, labels.
 * @throws EmpError `invalid_request` naming both the field that needs it and the input that lacks it
 */
export function refuseUnmetNeeds(recipe: Recipe, given: GivenInputs): void {
  refuseWithoutGraph(recipe, given);
  refuseMissing(recipe, given, 'scores');
  refuseMissing(recipe, given, 'calibration');
  refuseUnlabelled(recipe, given);
  refuseUnevaluated(recipe, given);
}

function refuseWithoutGraph(recipe: Recipe, { inventory: { format }, evaluation }: GivenInputs): void {
  if (format === 'onnx') return;
  const { criterion, granularity, allocation, sweep_betas = [], hessian_probes, repair } = recipe;
  const isOfGraph = measuresForTarget(recipe) || sizeTargetOf(recipe)?.name === 'max_macs';
  const isInGraph = needsOf(recipe).some((need) => need === 'calibration' || need === 'graph');
  const found: InputFinding[] = [];
  const because = (applies: boolean, field: keyof Recipe, says: string) => {
    if (applies) found.push({ path: `/recipe/${field}`, message: `${says}, and needs a model that runs` });
  };
  because(GRANULARITIES[granularity].needsGraph, 'granularity', `is ${granularity}`);
  because(isInGraph, 'criterion', `is ${criterion}`);
  because(allocation === 'auto', 'allocation', 'is auto');
  because(recipe.sensitivity, 'sensitivity', 'is true');
  because(hessian_probes > 0, 'hessian_probes', `is ${hessian_probes}`);
  because(repair.length > 0, 'repair', 'is given');
  because(isOfGraph, 'target', 'is given');
  because(sweep_betas.length > 0, 'sweep_betas', 'is given');
  if (evaluation !== null) found.push(ofInput('evaluation', 'is given, and needs a model that runs'));
  if (found.length === 0) return;
  const other = GRANULARITIES[granularity].needsGraph ? ', or give granularity weight' : '';
  const advice = `a ${format} file holds no graph to run: send the ONNX export${other}`;
  throw new EmpError('invalid_request', advice, [...found, ofInput('model', advice)]);
}

function refuseMissing(recipe: Recipe, given: GivenInputs, input: 'scores' | 'calibration'): void {
  const taker = takersOf(recipe).find(({ needs }) => needs.includes(input));
  if (taker && given[input] === null)
    throw unmet(taker, `needs ${INPUT_WORDS[input]}`, input, 'is missing', `is ${taker.value}`);
}

/** Gradients and curvature are those of a loss. */
function refuseUnlabelled(recipe: Recipe, { calibration }: GivenInputs): void {
  const taker = takersOf(recipe).find(({ needs }) => needs.includes('labels'));
  const needs = 'needs calibration data with labels';
  if (taker && !calibration?.labels)
    throw unmet(taker, needs, 'calibration', 'has no labels', `is ${taker.value} and ${needs}`);
}

function unmet(taker: Taker, needs: string, input: JobInput, lacks: string, says: string): EmpError {
  const { field, value } = taker;
  const what = field === 'criterion' ? 'the criterion' : field;
  return new EmpError('invalid_request', `${nameOf(taker)} ${needs}: ${input} ${lacks}`, [
    { path: `/recipe/${field}`, message: `${says}, and ${input} ${lacks}` },
    ofInput(input, `${lacks}, and ${what} is ${value}`),
  ]);
}

/** Whether models are run for a target of quality or of speed. */
function measuresForTarget(recipe: Recipe): boolean {
  return targetOf(recipe) !== null || speedTargetOf(recipe) !== null;
}

/** A search and a sweep measure; a search may measure what labels are needed for. */
function refuseUnevaluated(recipe: Recipe, { selection, evaluation }: GivenInputs): void {
  const { sweep_betas = [] } = recipe;
  const target = measuresForTarget(recipe);
  const asked = [target ? 'target' : [], sweep_betas.length > 0 ? 'sweep_betas' : []].flat();
  if (asked.length === 0) return;
  const isLabelled = targetOf(recipe) !== null && !comparesOutputs(recipe);
  const unlabelled = (['evaluation', 'selection'] as const).find(
    (input) => isLabelled && { evaluation, selection }[input]?.labels === null,
  );
  const input = evaluation && unlabelled ? unlabelled : 'evaluation';
  const lacks = !evaluation ? 'is missing' : unlabelled ? 'has no labels' : null;
  if (lacks === null) return;
  const who = evaluation ? ['target'] : asked;
  const needs = evaluation ? `${input} data with labels` : 'evaluation data';
  const names = who.join(' and ');
  throw new EmpError(
    'invalid_request',
    `${names} ${who.length > 1 ? 'need' : 'needs'} ${needs}: ${input} ${lacks}`,
    [
      ...who.map((name) => ({ path: `/recipe/${name}`, message: `needs ${needs}, and ${input} ${lacks}` })),
      ofInput(input, `${lacks}, and the recipe has ${names}`),
    ],
  );
}
