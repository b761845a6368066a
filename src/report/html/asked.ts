import { z } from 'zod';
import { describeTarget } from '../cost.ts';
import type { Report } from '../report.ts';
import { formatNumber, formatPercent } from './format.ts';
import { type Content, html, type Markup } from './markup.ts';

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
  hessian_probes: z.number().optional(),
  hessian_trace: z.number().nullable().optional(),
  dry_run: z.boolean(),
});

type Asked = z.output<typeof askedSchema>;

const CRITERIA: Readonly<Record<string, string>> = {
  magnitude: 'the weight’s absolute value |W|',
  wanda: '|W| times the l2 norm of the input feature that it multiplies, over the calibration data',
  activation: '|W| times the mean |activation| of the output unit that it feeds, over the calibration data',
  taylor: '|W| times |gradient|, of the mean loss over the calibration data',
  saliency: '|gradient| of the mean loss over the calibration data',
  taylor_rms: '|W| times the root mean square of the calibration samples’ gradients',
  saliency_rms: 'the root mean square of the calibration samples’ gradients',
  scores: 'as uploaded',
};

const SCOPES: Readonly<Record<string, string>> = {
  global: 'all selected tensors share one N_eff and one threshold',
  layer: 'each tensor has an N_eff and a threshold of its own',
  row: 'each row (the weights feeding one output unit) has an N_eff and a threshold of its own',
};

const GRANULARITIES: Readonly<Record<string, string>> = {
  weight: 'single weights, set to zero in place',
};

/** The beta that the model was pruned at; null for a fixed budget. */
export function chosenBeta({ recipe, evaluation }: Report): number | null {
  const { beta, budget } = askedSchema.parse(recipe);
  return budget ? null : (evaluation?.search?.beta ?? beta ?? 1);
}

/** The recipe in words. */
export function askedList(report: Report): Markup {
  const { criterion, scope, granularity, sweep_betas, include, exclude, min_density, dry_run, ...rest } =
    askedSchema.parse(report.recipe);
  const { beta: _beta, budget: _budget, target: _target, hessian_probes, hessian_trace, ...other } = rest;
  return html`<dl class="asked">
${entry('Criterion', words(criterion, CRITERIA))}
${entry('Scope', words(scope, SCOPES))}
${entry('Granularity', words(granularity, GRANULARITIES))}
${entry('Amount', amount(rest, report.evaluation))}
${entry('Tensors', tensorsAsked(include, exclude, report.tensors.length))}
${min_density > 0 ? entry('Least density', `at least ${formatPercent(min_density)} of every tensor is kept`) : null}
${sweep_betas?.length ? entry('Sweep', `also measured at beta ${sweep_betas.join(', ')}`) : null}
${hessian_probes ? entry('Curvature', `trace of the loss’s Hessian estimated from ${hessian_probes} random vectors`) : null}
${hessian_trace == null ? null : entry('Curvature', `trace of the loss’s Hessian given as ${formatNumber(hessian_trace)}`)}
${dry_run ? entry('Dry run', 'scored and decided; no model was written') : null}
${Object.entries(other).map(([name, value]) => entry(name, html`<code>${JSON.stringify(value)}</code>`))}
</dl>
`;
}

function entry(term: string, description: Content): Markup {
  return html`<div><dt>${term}</dt><dd>${description}</dd></div>
`;
}

function words(name: string, table: Readonly<Record<string, string>>): Content {
  const meaning = Object.hasOwn(table, name) ? `: ${table[name]}` : '';
  return html`<strong>${name}</strong>${meaning}`;
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

function tensorsAsked(
  include: readonly string[] = [],
  exclude: readonly string[] = [],
  selected: number,
): Content {
  const globs = (given: readonly string[]) =>
    given.map((glob, i) => [i > 0 ? ', ' : null, html`<code>${glob}</code>`]);
  const included = include.length > 0 ? html`those matching ${globs(include)}` : 'those prunable by default';
  const excluded = exclude.length > 0 ? html`, without ${globs(exclude)}` : null;
  return html`${included}${excluded} (${selected} ${selected === 1 ? 'tensor' : 'tensors'})`;
}
