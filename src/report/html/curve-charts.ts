import type { Evaluation, Report } from '../report.ts';
import { formatBeta } from './asked.ts';
import { type Curve, curvesOf } from './curve.ts';
import { curveChart } from './curve-chart.ts';
import { formatPercent } from './format.ts';
import { html, type Markup } from './markup.ts';
import { formatFigure, measuredMetrics } from './metrics.ts';
import { table } from './table.ts';

/** What sparsity costs; null where only one model was measured. */
export function curveCharts(report: Report, evaluation: Evaluation): Markup | null {
  const curves = curvesOf(report, evaluation);
  if (curves.length === 0) return null;
  return html`<div class="pair">${curves.map(curveChart)}</div>${pointsTable(curves[0], evaluation)}`;
}

function pointsTable({ points, chosen }: Curve, evaluation: Evaluation): Markup {
  const metrics = measuredMetrics(evaluation);
  return html`<details>
<summary>All ${points.length} points</summary>
${table({
  label: 'All measured points',
  caption: 'Measured at each beta, by sparsity',
  columns: ['Beta', 'Sparsity', ...metrics.map(({ title }) => title)],
  rows: points.map((point) => [
    `${point.beta === null ? 'budget' : formatBeta(point.beta)}${point === chosen ? ' (chosen)' : ''}`,
    formatPercent(point.sparsity),
    ...metrics.map((metric) => formatFigure(metric, point[metric.name])),
  ]),
})}</details>
`;
}
