import { describePositions } from '../cost.ts';
import type { Evaluation, Report } from '../report.ts';
import { chosenBeta, formatBeta } from './asked.ts';
import { formatCount, formatNumber, formatPercent, formatRelativeChange } from './format.ts';
import { type Content, html, type Markup } from './markup.ts';
import { formatFigure, type Metric, type Metrics, measuredMetrics } from './metrics.ts';
import { table } from './table.ts';

interface Row {
  readonly title: string;
  readonly sparsity: number;
  readonly metrics: Metrics;
  readonly latency: Content;
  readonly isDense?: true;
  readonly standardErrors?: Partial<Metrics>;
}

/** The dense model, the pruned one, and what it is compared with. */
export function comparisonTable(report: Report, evaluation: Evaluation): Markup {
  const metrics = measuredMetrics(evaluation);
  const { dense, output, n_samples } = evaluation;
  const hasLatency = dense.latency_ms !== null;
  const rows = rowsOf(report, evaluation).map((row) => [
    row.title,
    row.isDense ? '–' : formatPercent(row.sparsity),
    ...metrics.map((metric) => cell(metric, row, dense)),
    ...(hasLatency ? [row.latency] : []),
  ]);
  return html`${table({
    label: 'Dense against pruned',
    caption: html`Output <bdi><code>${output}</code></bdi> on ${formatCount(n_samples)} samples${describePositions(evaluation)}`,
    columns: ['Model', 'Sparsity', ...metrics.map(({ title }) => title), ...(hasLatency ? ['Latency'] : [])],
    rows,
  })}<p class="note">${notes(evaluation)}</p>
`;
}

function notes({ dense, pruned, batch_size }: Evaluation): string {
  const { loss_increase_standard_error, accuracy_drop_standard_error } = pruned;
  const hasErrors = loss_increase_standard_error !== null || accuracy_drop_standard_error !== null;
  const differences =
    dense.loss === null
      ? 'The figures say how far the outputs are from the dense model’s.'
      : `Below each figure stands its difference to the dense model${hasErrors ? ', ± one standard error of the paired difference over samples' : ''}.`;
  if (batch_size === null) return differences;
  return `${differences} Latency is the median of one batch of ${formatCount(batch_size)}, dense and pruned in turn.`;
}

function rowsOf(report: Report, { dense, pruned, uniform, beta_1 }: Evaluation): Row[] {
  const beta = chosenBeta(report);
  const { sparsity } = report.total;
  const rows: Row[] = [
    { title: 'Dense', sparsity: 0, metrics: dense, latency: milliseconds(dense.latency_ms), isDense: true },
    {
      title: beta === null ? 'Pruned, fixed budget' : `Pruned, beta ${formatBeta(beta)}`,
      sparsity,
      metrics: pruned,
      latency: latencyOf(pruned.latency_ms, dense.latency_ms),
      standardErrors: {
        loss: pruned.loss_increase_standard_error,
        accuracy: pruned.accuracy_drop_standard_error,
      },
    },
  ];
  if (beta_1 && beta !== 1)
    rows.push({ title: 'EMP at beta 1', sparsity: beta_1.sparsity, metrics: beta_1, latency: '–' });
  if (uniform)
    rows.push({ title: 'Uniform, as sparse', sparsity: uniform.sparsity, metrics: uniform, latency: '–' });
  return rows;
}

function cell(metric: Metric, { metrics, isDense, standardErrors }: Row, denseMetrics: Metrics): Content {
  const [value, dense] = [metrics[metric.name], denseMetrics[metric.name]];
  if (isDense) return value === null ? '–' : metric.format(value);
  if (value === null || dense === null || metric.compare === null) return formatFigure(metric, value);
  const lines = metric.compare(value, dense, standardErrors?.[metric.name] ?? null);
  return html`${metric.format(value)}${lines.map(small)}`;
}

function small(text: string): Markup {
  return html`<br><small>${text}</small>`;
}

function latencyOf(pruned: number | null, dense: number | null): Content {
  if (pruned === null || dense === null) return milliseconds(pruned);
  return html`${milliseconds(pruned)}${small(formatRelativeChange(pruned, dense))}`;
}

function milliseconds(value: number | null): string {
  return value === null ? '–' : `${formatNumber(value)}\u00a0ms`;
}
