import type { Report } from '../report.ts';
import { type Speed, speedsOf } from '../speed.ts';
import { formatBytes, formatCount, formatGuarantee, formatNumber, formatPercent } from './format.ts';
import { type Content, html, type Markup } from './markup.ts';
import { formatFigure, mainMetrics } from './metrics.ts';
import { capitalized, nounsOf } from './nouns.ts';

/** The job in a handful of figures. */
export function headline(report: Report): Markup {
  const { total, sizes, structures } = report;
  const { unit } = nounsOf(report);
  return html`<dl class="headline">
${item('Sparsity', formatPercent(total.sparsity), `${formatCount(total.n - total.n_keep)} removed`)}
${item(`${capitalized(unit.many)} kept`, formatCount(total.n_keep), `of ${formatCount(total.n)}`)}
${item('Mass preserved', formatPercent(total.preserved_mass), `guaranteed: ${formatGuarantee(total.preserved_mass_bound)}`)}
${measured(report)}
${structures === null ? compressed(sizes) : smaller(report, structures)}
</dl>
`;
}

function compressed({ dense_zstd_bytes, pruned_zstd_bytes, zstd_estimated }: Report['sizes']): Markup {
  const dense = `dense: ${formatBytes(dense_zstd_bytes)}`;
  if (pruned_zstd_bytes === null) return item('Compressed', 'not written', `dry run; ${dense}`);
  return item('Compressed', `${zstd_estimated ? 'about ' : ''}${formatBytes(pruned_zstd_bytes)}`, dense);
}

/** What a model without some of its structures saves. */
function smaller({ sizes, evaluation }: Report, { parameters }: NonNullable<Report['structures']>): Markup[] {
  const [dense, denseBytes] = [formatCount(parameters.dense), formatBytes(sizes.dense_bytes)];
  if (parameters.pruned === null || sizes.pruned_bytes === null)
    return [item('Parameters', 'not written', `dry run; dense: ${dense}, ${denseBytes}`)];
  return [
    item('Parameters', formatCount(parameters.pruned), `dense: ${dense}`),
    item('Size', formatBytes(sizes.pruned_bytes), `dense: ${denseBytes}`),
    ...speed(speedsOf(evaluation)),
  ];
}

function speed([byDefault, extended]: readonly Speed[]): Markup[] {
  if (!byDefault) return [];
  const times = `${formatNumber(byDefault.dense)} → ${formatNumber(byDefault.pruned)} ms a batch`;
  const other = extended ? `; ${ratio(extended)} at level extended` : '';
  return [item('Speed', ratio(byDefault), `${times}${other}`)];
}

function ratio({ dense, pruned }: Speed): string {
  return `${(dense / pruned).toFixed(2)}\u00a0×`;
}

function measured({ evaluation }: Report): Markup[] {
  if (evaluation === null) return [];
  const { dense, pruned } = evaluation;
  return mainMetrics(evaluation).map((metric) => {
    const [value, reference] = [pruned[metric.name], dense[metric.name]];
    if (metric.compare === null || reference === null) {
      return item(metric.title, formatFigure(metric, value), 'against the dense model');
    }
    if (value === null)
      return item(metric.title, formatFigure(metric, value), `dense: ${metric.format(reference)}`);
    const change = metric.compare(value, reference, null).at(-1) ?? '';
    return item(metric.title, change, `${metric.format(reference)} → ${metric.format(value)}`);
  });
}

function item(term: string, figure: string, detail: Content): Markup {
  return html`<div><dt>${term}</dt><dd><strong>${figure}</strong> <span>${detail}</span></dd></div>
`;
}
