import type { Report } from '../report.ts';
import { formatBytes, formatCount, formatGuarantee, formatPercent } from './format.ts';
import { type Content, html, type Markup } from './markup.ts';
import { formatFigure, mainMetrics } from './metrics.ts';

/** The job in a handful of figures. */
export function headline(report: Report): Markup {
  const { total, sizes } = report;
  return html`<dl class="headline">
${item('Sparsity', formatPercent(total.sparsity), `${formatCount(total.n - total.n_keep)} removed`)}
${item('Weights kept', formatCount(total.n_keep), `of ${formatCount(total.n)}`)}
${item('Mass preserved', formatPercent(total.preserved_mass), `guaranteed: ${formatGuarantee(total.preserved_mass_bound)}`)}
${measured(report)}
${
  sizes.pruned_zstd_bytes === null
    ? item('Compressed', 'not written', `dry run; dense: ${formatBytes(sizes.dense_zstd_bytes)}`)
    : item(
        'Compressed',
        `${sizes.zstd_estimated ? 'about ' : ''}${formatBytes(sizes.pruned_zstd_bytes)}`,
        `dense: ${formatBytes(sizes.dense_zstd_bytes)}`,
      )
}
</dl>
`;
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
