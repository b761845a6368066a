import { ALLOCATIONS } from '../../recipe/allocations.ts';
import { targetOf } from '../../recipe/target.ts';
import { GRANULARITIES, REPAIRS, SCOPES } from '../../recipe/terms.ts';
import { meaningsOf, scoreMeanings } from '../../recipe/words.ts';
import { betasTried, describePromise, describeTarget } from '../cost.ts';
import type { Report } from '../report.ts';
import { nounsOf, otherFields, type ReportedRecipe, recipeOf } from '../reported-recipe.ts';
import type { SizeTargetFigures } from '../size-figures.ts';
import { describeLimit, describeReached } from '../size-words.ts';
import type { SpeedTargetFigures } from '../speed-figures.ts';
import { describeSpeedAsked, describeSpeedReached } from '../speed-words.ts';
import { capitalized, counted, formatNumber, formatPercent, number } from '../wording.ts';
import { type Content, entry, html, type Markup } from './markup.ts';

type Search = NonNullable<NonNullable<Report['evaluation']>['search']>;

/** The recipe in words. */
export function askedList(report: Report): Markup {
  const recipe = recipeOf(report);
  const { criterion, scope, allocation, granularity, min_density } = recipe;
  const { round_to, hessian_probes, hessian_trace } = recipe;
  const { unit, group } = nounsOf(report);
  const kind = report.structures === null ? 'weights' : 'structures';
  const scopes = meaningsOf(SCOPES, (row) => row[kind]);
  const repairs = meaningsOf(REPAIRS, ({ meaning }) => meaning);
  return html`<dl class="asked">
${entry('Criterion', named(criterion, scoreMeanings(kind, unit.one)))}
${entry('Scope', named(scope, scopes))}
${entry(
  'Allocation',
  allocation === 'scope'
    ? null
    : named(
        allocation,
        meaningsOf(ALLOCATIONS, ({ meaning }) => meaning),
      ),
)}
${entry('Granularity', html`<strong>${granularity}</strong>: ${GRANULARITIES[granularity].meaning}`)}
${entry('Amount', amount(recipe, report))}
${entry('Rounding', round_to === undefined ? null : rounding(round_to))}
${entry(capitalized(group.many), selection(recipe, report))}
${entry('Least density', min_density > 0 ? `at least ${formatPercent(min_density)} of every ${group.one} is kept` : null)}
${entry('Sweep', recipe.sweep_betas.length > 0 ? `also measured at beta ${recipe.sweep_betas.join(', ')}` : null)}
${entry('Curvature', hessian_probes ? `trace of the loss’s Hessian estimated from ${hessian_probes} random vectors` : null)}
${entry('Curvature', hessian_trace === null ? null : `trace of the loss’s Hessian given as ${formatNumber(hessian_trace)}`)}
${entry('Seed', criterion === 'random' ? String(recipe.seed) : null)}
${recipe.repair.map((name) => entry('Repair', named(name, repairs)))}
${entry('Dry run', recipe.dry_run ? 'scored and decided; no model was written' : null)}
${otherFields(recipe).map(([name, value]) => entry(name, html`<code>${JSON.stringify(value)}</code>`))}
</dl>
`;
}

/** A name and what it means, where that is known. */
function named(name: string, meanings: Readonly<Record<string, string>>): Markup {
  return html`<strong>${name}</strong>${Object.hasOwn(meanings, name) ? `: ${meanings[name]}` : null}`;
}

function amount({ beta = 1, budget, target }: ReportedRecipe, report: Report): string {
  const { evaluation, size_target } = report;
  if (budget)
    return `a fixed sparsity of ${formatPercent(budget.sparsity)} of each group, in place of EMP’s count`;
  if (!target) return `EMP’s count, floor(beta × N_eff), at beta ${beta}`;
  const quality =
    targetOf({ target }) === null ? [] : [qualityAsked(target, beta, evaluation?.search ?? null)];
  const [isBeside, speed] = [quality.length > 0, evaluation?.speed_target ?? null];
  const size = size_target ? [sizeAsked(size_target, isBeside)] : [];
  return [...quality, ...size, ...(speed ? [speedAsked(speed, isBeside)] : [])].join('; ');
}

function qualityAsked(target: Search['target'], beta: number, search: Search | null): string {
  const isGiven = search?.given === true;
  const asked = isGiven ? `beta ${beta}, tested for` : 'the smallest beta that stays within';
  return `${asked} ${describeTarget(target)}${isGiven ? tested(search) : found(search)}`;
}

function tested(search: Search): string {
  const { target, met, beta } = search;
  if (target.confidence !== undefined)
    return met
      ? `: beta ${number(beta)} is the sparsest rung up to it that passes; ${describePromise(search)}`
      : `: no rung up to it passes; the mildest, beta ${number(beta)}, was taken`;
  return met ? `: it stays within; ${describePromise(search)}` : ': it does not stay within';
}

function sizeAsked(size: SizeTargetFigures, isBeside: boolean): string {
  const reached = `it takes ${describeReached(size)}`;
  if (isBeside) return `and a model of ${describeLimit(size)} at most: ${reached}`;
  const tried = `beta ${number(size.beta)}, of ${size.evaluations.length} tried`;
  return `the largest beta whose model is within ${describeLimit(size)}: ${tried}; ${reached}`;
}

function speedAsked(speed: SpeedTargetFigures, isBeside: boolean): string {
  const reached = `it is measured ${describeSpeedReached(speed)}, which is ${speed.met ? 'within' : 'beyond'} the limit`;
  if (isBeside) return `and the model ${describeSpeedAsked(speed)}: ${reached}`;
  const tried = `beta ${number(speed.beta)}, of ${speed.evaluations.length} tried`;
  return `the largest beta whose model the search measured ${describeSpeedAsked(speed)}: ${tried}; ${reached}`;
}

function found(search: Search | null): string {
  if (search === null) return '';
  const [beta, tried] = [number(search.beta), betasTried(search)];
  if (search.met) return `: beta ${beta}, of ${tried} tried; ${describePromise(search)}`;
  if (search.target.confidence !== undefined)
    return `: none is shown to; the mildest that was tested, beta ${beta}, was taken`;
  return search.found
    ? `: beta ${beta}, of ${tried} tried, does on the samples that it was searched on, and not on the others`
    : `: none of ${tried} tried does; the nearest, beta ${beta}, was taken`;
}

function rounding(multiple: number): string {
  return multiple === 1
    ? 'kept counts of families are not rounded'
    : `the kept count of every family is rounded up to a multiple of ${multiple}`;
}

/** Globs are held against tensors, and against the weights that compute a family. */
function selection({ include, exclude }: ReportedRecipe, report: Report): Content {
  const { structures, tensors } = report;
  const [matching, all, without] =
    structures === null
      ? ['those matching', 'those prunable by default', ', without ']
      : ['those computed by weights matching', 'all that can be removed', ', without those computed by '];
  const included = include.length > 0 ? html`${matching} ${globs(include)}` : all;
  const excluded = exclude.length > 0 ? [without, globs(exclude)] : null;
  const number = structures?.families.length ?? tensors.length;
  return html`${included}${excluded} (${counted(number, nounsOf(report).group)})`;
}

function globs(given: readonly string[]): Content {
  return given.map((glob, i) => [i > 0 ? ', ' : null, html`<code>${glob}</code>`]);
}
