import { compareSparsity, describePositions } from '../cost.ts';
import type { Evaluation, Report } from '../report.ts';
import { type Speed, speedsOf } from '../speed.ts';
import { chosenBeta, formatBeta } from './asked.ts';
import { formatCount, formatNumber, formatPercent, formatRelativeChange } from './format.ts';
import { type Content, html, type Markup } from './markup.ts';
import { formatFigure, type Metric, type Metrics, measuredMetrics } from './metrics.ts';
import { table } from './table.ts';

interface Row {
  readonly title: string;
  readonly sparsity: number;
  readonly metrics: Metrics;
  /** Of every level that was measured; none where latency is only measured of other models. */
  readonly latencies: readonly Content[];
  readonly isDense?: true;
  readonly standardErrors?: Partial<Metrics>;
}

/** The dense model, the pruned one, and what it is compared with. */
export function comparisonTable(report: Report, evaluation: Evaluation): Markup {
  const metrics = measuredMetrics(evaluation);
  const { dense, output, n_samples } = evaluation;
  const speeds = speedsOf(evaluation);
  const rows = rowsOf(report, evaluation, speeds).map((row) => [
    row.title,
    row.isDense ? '–' : formatPercent(row.sparsity),
    ...metrics.map((metric) => cell(metric, row, dense)),
    ...speeds.map((_, i) => row.latencies[i] ?? '–'),
  ]);
  return html`${table({
    label: 'Dense against pruned',
    caption: html`Output <bdi><code>${output}</code></bdi> on ${formatCount(n_samples)} samples${describePositions(evaluation)}`,
    columns: ['Model', 'Sparsity', ...metrics.map(({ title }) => title), ...speeds.map(latencyTitle)],
    rows,
  })}<p class="note">${notes(evaluation, speeds)}</p>
`;
}

function latencyTitle({ level }: Speed): string {
  return level === 'all' ? 'Latency' : `Latency, ${level}`;
}

function notes({ dense, pruned, batch_size }: Evaluation, speeds: readonly Speed[]): string {
  const { loss_increase_standard_error, accuracy_drop_standard_error } = pruned;
  const hasErrors = loss_increase_standard_error !== null || accuracy_drop_standard_error !== null;
  const differences =
    dense.loss === null
      ? 'The figures say how far the outputs are from the dense model’s.'
      : `Below each figure stands its difference to the dense model${hasErrors ? ', ± one standard error of the paired difference over samples' : ''}.`;
  if (batch_size === null) return differences;
  const levels =
    speeds.length > 1
      ? ', at onnxruntime’s default level of graph optimization and at level extended, which has no blocked layout of convolutions'
      : '';
  return `${differences} Latency is the median of one batch of ${formatCount(batch_size)}, dense and pruned in turn${levels}.`;
}

function rowsOf(
  report: Report,
  { dense, pruned, uniform, beta_1 }: Evaluation,
  speeds: readonly Speed[],
): Row[] {
  const beta = chosenBeta(report);
  const { sparsity } = report.total;
  const rows: Row[] = [
    {
      title: 'Dense',
      sparsity: 0,
      metrics: dense,
      latencies: speeds.map((speed) => milliseconds(speed.dense)),
      isDense: true,
    },
    {
      title: beta === null ? 'Pruned, fixed budget' : `Pruned, beta ${formatBeta(beta)}`,
      sparsity,
      metrics: pruned,
      latencies: speeds.map(
        (speed) =>
          html`${milliseconds(speed.pruned)}${small(formatRelativeChange(speed.pruned, speed.dense))}`,
      ),
      standardErrors: {
        loss: pruned.loss_increase_standard_error,
        accuracy: pruned.accuracy_drop_standard_error,
      },
    },
  ];
  if (beta_1 && beta !== 1)
    rows.push({ title: 'EMP at beta 1', sparsity: beta_1.sparsity, metrics: beta_1, latencies: [] });
  if (uniform)
    rows.push({
      title: `Uniform, ${compareSparsity(uniform, sparsity)}`,
      sparsity: uniform.sparsity,
      metrics: uniform,
      latencies: [],
    });
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

function milliseconds(value: number): string {
  return `${formatNumber(value)}\u00a0ms`;
}
