import { z } from 'zod';
import { CRITERION_NAMES, scoringOf } from '../../recipe/criteria.ts';
import { GRANULARITIES, REPAIRS, SCOPES } from '../../recipe/terms.ts';
import { scoreWords } from '../../recipe/words.ts';
import { describeTarget } from '../cost.ts';
import type { Report } from '../report.ts';
import { formatCount, formatNumber, formatPercent } from './format.ts';
import { type Content, html, type Markup } from './markup.ts';
import { capitalized, nounsOf } from './nouns.ts';

/** What of the recipe is said in words; other fields are shown as they are. */
const askedSchema = z.looseObject({
  criterion: z.string(),
  scope: z.string(),
  granularity: z.string(),
  beta: z.number().optional(),
  budget: z.object({ sparsity: z.number() }).optional(),
  target: z
    .object({ max_loss_increase: z.number().optional(), max_accuracy_drop: z.number().optional() })
    .optional(),
  sweep_betas: z.array(z.number()).optional(),
  include: z.array(z.string()).optional(),
  exclude: z.array(z.string()).optional(),
  min_density: z.number(),
  round_to: z.number().optional(),
  hessian_probes: z.number().optional(),
  hessian_trace: z.number().nullable().optional(),
  repair: z.array(z.string()).optional(),
  seed: z.number().optional(),
  dry_run: z.boolean(),
});

type Asked = z.output<typeof askedSchema>;

/** The beta that the model was pruned at; null for a fixed budget. */
export function chosenBeta({ recipe, evaluation }: Report): number | null {
  const { beta, budget } = askedSchema.parse(recipe);
  return budget ? null : (evaluation?.search?.beta ?? beta ?? 1);
}

/** The recipe in words. */
export function askedList(report: Report): Markup {
  const asked = askedSchema.parse(report.recipe);
  const {
    criterion,
    scope,
    granularity,
    beta: _beta,
    budget: _budget,
    target: _target,
    sweep_betas,
    include: _include,
    exclude: _exclude,
    min_density,
    round_to,
    hessian_probes,
    hessian_trace,
    repair,
    seed,
    dry_run,
    ...other
  } = asked;
  const { unit, group } = nounsOf(report);
  const kind = report.structures === null ? 'weights' : 'structures';
  return html`<dl class="asked">
${entry('Criterion', saidOf(criterion, criterionWords(criterion, kind, unit.one)))}
${entry('Scope', saidOf(scope, rowOf(SCOPES, scope)?.[kind] ?? null))}
${entry('Granularity', saidOf(granularity, rowOf(GRANULARITIES, granularity)?.meaning ?? null))}
${entry('Amount', amount(asked, report.evaluation))}
${round_to === undefined ? null : entry('Rounding', rounding(round_to))}
${entry(capitalized(group.many), selection(asked, report))}
${min_density > 0 ? entry('Least density', `at least ${formatPercent(min_density)} of every ${group.one} is kept`) : null}
${sweep_betas?.length ? entry('Sweep', `also measured at beta ${sweep_betas.join(', ')}`) : null}
${hessian_probes ? entry('Curvature', `trace of the loss’s Hessian estimated from ${hessian_probes} random vectors`) : null}
${hessian_trace == null ? null : entry('Curvature', `trace of the loss’s Hessian given as ${formatNumber(hessian_trace)}`)}
${criterion === 'random' ? entry('Seed', String(seed ?? 0)) : null}
${(repair ?? []).map((name) => entry('Repair', saidOf(name, rowOf(REPAIRS, name)?.meaning ?? null)))}
${dry_run ? entry('Dry run', 'scored and decided; no model was written') : null}
${Object.entries(other).map(([name, value]) => entry(name, html`<code>${JSON.stringify(value)}</code>`))}
</dl>
`;
}

function entry(term: string, description: Content): Markup {
  return html`<div><dt>${term}</dt><dd>${description}</dd></div>
`;
}

/** Reports of other versions may have names that this one does not know. */
function rowOf<T>(rows: Readonly<Record<string, T>>, name: string): T | null {
  return Object.hasOwn(rows, name) ? rows[name] : null;
}

function criterionWords(name: string, kind: 'weights' | 'structures', unit: string): string | null {
  const criterion = CRITERION_NAMES.find((known) => known === name);
  const scoring = criterion === undefined ? null : scoringOf(criterion, kind);
  return scoring && scoreWords(scoring, unit);
}

function saidOf(name: string, meaning: string | null): Content {
  return html`<strong>${name}</strong>${meaning === null ? '' : `: ${meaning}`}`;
}

function amount(
  { beta, budget, target }: Pick<Asked, 'beta' | 'budget' | 'target'>,
  evaluation: Report['evaluation'],
) {
  if (budget)
    return `a fixed sparsity of ${formatPercent(budget.sparsity)} of each group, in place of EMP’s count`;
  if (!target) return `EMP’s count, floor(beta × N_eff), at beta ${beta ?? 1}`;
  return `the smallest beta that stays within ${describeTarget(target)}${found(evaluation?.search ?? null)}`;
}

function found(search: NonNullable<Report['evaluation']>['search']): string {
  if (search === null) return '';
  const tried = new Set(search.evaluations.map(({ beta }) => beta)).size;
  return search.met
    ? `: beta ${formatBeta(search.beta)}, of ${tried} tried`
    : `: none of ${tried} tried does; the nearest, beta ${formatBeta(search.beta)}, was taken`;
}

/** As it was given, or to four digits where it was searched. */
export function formatBeta(beta: number): string {
  return String(Number(beta.toPrecision(4)));
}

function rounding(multiple: number): string {
  return multiple === 1
    ? 'kept counts of families are not rounded'
    : `the kept count of every family is rounded up to a multiple of ${multiple}`;
}

/** Globs are held against tensors, and against the weights that compute a family. */
function selection({ include = [], exclude = [] }: Asked, report: Report): Content {
  const { structures, tensors } = report;
  const { group } = nounsOf(report);
  const length = structures?.families.length ?? tensors.length;
  const [matching, all, computed] =
    structures === null
      ? ['those matching', 'those prunable by default', '']
      : ['those computed by weights matching', 'all that can be removed', ' those computed by'];
  const included = include.length > 0 ? html`${matching} ${globs(include)}` : all;
  const excluded = exclude.length > 0 ? html`, without${computed} ${globs(exclude)}` : null;
  return html`${included}${excluded} (${formatCount(length)} ${length === 1 ? group.one : group.many})`;
}

function globs(given: readonly string[]): Content {
  return given.map((glob, i) => [i > 0 ? ', ' : null, html`<code>${glob}</code>`]);
}
