import type { Report } from '../report.ts';
import { formatChange, formatNumber } from './format.ts';
import { type Content, html, type Markup } from './markup.ts';
import { table } from './table.ts';

/** What curvature says of the loss change, beside what was measured; null where no trace is known. */
export function lossBoundTable({ loss_bound, evaluation, recipe }: Report): Markup | null {
  if (loss_bound === null || loss_bound.hessian_trace === null) return null;
  const { per_trace, hessian_trace, standard_error, bound, asymptotic } = loss_bound;
  const rows: [Content, Content][] = [
    ['Measured on the evaluation data', measured(evaluation)],
    ['Estimated bound', estimate(bound, standard_error === null ? null : per_trace * standard_error)],
    ['Eq. 5 of the paper, which is loose', estimate(asymptotic, null)],
  ];
  const origin =
    standard_error === null && recipe.hessian_trace !== null
      ? 'as given'
      : `estimated from ${recipe.hessian_probes} random vectors on the calibration data`;
  return html`${table({
    label: 'Loss change and curvature',
    caption: 'Change of the loss by pruning',
    columns: ['', 'Loss change'],
    rows,
  })}<p class="note">The bound is a second-order estimate, not a guarantee: ${formatNumber(per_trace)} (known exactly from the removed weights) times the trace of the
loss’s Hessian, ${formatNumber(hessian_trace)}${standard_error === null ? null : ` ± ${formatNumber(standard_error, 2)}`}, ${origin}.${
    hessian_trace < 0 ? ' Of a negative trace there is no bound: the model is not near a minimum.' : null
  }</p>
`;
}

function measured(evaluation: Report['evaluation']): string {
  const [dense, pruned] = [evaluation?.dense.loss ?? null, evaluation?.pruned.loss ?? null];
  if (evaluation === null || dense === null || pruned === null) return 'not measured';
  return formatChange(pruned - dense, evaluation.pruned.loss_increase_standard_error);
}

function estimate(value: number | null, standardError: number | null): string {
  if (value === null) return '–';
  return `at most ${formatNumber(value)}${standardError === null ? '' : ` ± ${formatNumber(standardError, 2)}`}`;
}
