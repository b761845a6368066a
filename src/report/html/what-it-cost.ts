import { METRICS, type MetricName } from '../../recipe/terms.ts';
import { compareSparsity, describePositions, isJudgedByDrift, type Metrics } from '../cost.ts';
import { formatFigure, type Metric, measuredMetrics, metricOf } from '../metric-figures.ts';
import type { Evaluation, Report } from '../report.ts';
import { chosenBeta } from '../reported-recipe.ts';
import { type Speed, speedsOf } from '../speed.ts';
import {
  count,
  ERRORS,
  formatChange,
  formatMilliseconds,
  formatNumber,
  formatPercent,
  formatRelativeChange,
  ifKnown,
  number,
} from '../wording.ts';
import { type Content, folded, html, type Markup, table } from './markup.ts';

type Repair = Report['repair'][number];

/** Of which the page has a row each. */
const MOST_OUTPUTS = 24;

/** The dense model, the pruned one, and what it is compared with. */
export function comparisonTable(report: Report): Markup {
  const { evaluation, total } = report;
  if (evaluation === null)
    return html`<p>Not measured: give the job an evaluation dataset, and the pruned model is measured beside the dense one.</p>`;
  const { dense, pruned, uniform, beta_1, output, outputs = [], n_samples } = evaluation;
  const [metrics, speeds, beta] = [measuredMetrics(evaluation), speedsOf(evaluation), chosenBeta(report)];
  const figuresOf = (model: Metrics, errors: Partial<Metrics> = {}) =>
    metrics.map((metric) => besideDense(metric, model, dense, errors[metric.name] ?? null));
  const others = [
    beta_1 && beta !== 1 ? { title: 'EMP at beta 1', ...beta_1 } : null,
    uniform && { title: `Uniform, ${compareSparsity(uniform, total.sparsity)}`, ...uniform },
  ].filter((model) => model !== null);
  return html`${table({
    label: 'Dense against pruned',
    caption: html`Output <bdi><code>${output}</code></bdi>${outputs.length > 1 ? ` and ${count(outputs.length - 1)} more, each figure of drift of the one that it is worst of,` : null} on ${count(n_samples)} samples${describePositions(evaluation)}`,
    columns: [
      ...['Model', 'Sparsity', ...metrics.map(({ title }) => title)],
      ...speeds.map(({ level }) => (level === 'all' ? 'Latency' : `Latency, ${level}`)),
    ],
    rows: [
      [
        ...['Dense', null, ...metrics.map(({ name, format }) => ifKnown(dense[name], format))],
        ...speeds.map((speed) => formatMilliseconds(speed.dense)),
      ],
      [
        beta === null ? 'Pruned, fixed budget' : `Pruned, beta ${number(beta)}`,
        formatPercent(total.sparsity),
        ...figuresOf(pruned, {
          loss: pruned.loss_increase_standard_error,
          accuracy: pruned.accuracy_drop_standard_error,
        }),
        ...speeds.map((speed) => [
          formatMilliseconds(speed.pruned),
          small(formatRelativeChange(speed.pruned, speed.dense)),
        ]),
      ],
      ...others.map(({ title, ...model }) => [
        ...[title, formatPercent(model.sparsity), ...figuresOf(model)],
        ...speeds.map(() => null),
      ]),
    ],
  })}<p class="note">${comparisonNote(evaluation, speeds)}</p>
`;
}

function besideDense(metric: Metric, model: Metrics, dense: Metrics, standardError: number | null): Content {
  const { name, compare } = metric;
  const [value, reference] = [model[name], dense[name]];
  const figure = formatFigure(metric, model);
  if (value === null || reference === null || compare === null) return figure;
  return [figure, ...compare(value, reference, standardError).map(small)];
}

function small(text: string): Markup {
  return html`<br><small>${text}</small>`;
}

function comparisonNote({ dense, pruned, batch_size }: Evaluation, speeds: readonly Speed[]): string {
  const { loss_increase_standard_error, accuracy_drop_standard_error } = pruned;
  const hasErrors = loss_increase_standard_error !== null || accuracy_drop_standard_error !== null;
  const differences =
    dense.loss === null
      ? 'The figures say how far the outputs are from the dense model’s.'
      : `Below each figure stands its difference to the dense model${hasErrors ? ', ± two standard errors of the paired difference over samples' : ''}.`;
  if (batch_size === null) return differences;
  const levels =
    speeds.length > 1
      ? ', at onnxruntime’s default level of graph optimization and at level extended, which has no blocked layout of convolutions'
      : '';
  return `${differences} Latency is the median of one batch of ${count(batch_size)}, dense and pruned in turn${levels}.`;
}

/** The drift of the pruned model by output; null where it is of one. */
export function outputsTable({ evaluation }: Report): Markup | null {
  if (!evaluation?.outputs) return null;
  const { outputs } = evaluation;
  const metrics = measuredMetrics(evaluation).filter((metric) => !METRICS[metric.name].isLabelled);
  const shown = outputs.slice(0, MOST_OUTPUTS);
  return html`${table({
    label: 'Drift by output',
    caption: 'How far each output of the pruned model is from the dense one’s',
    columns: ['Output', ...metrics.map(({ title }) => title)],
    rows: shown.map((output) => [
      html`<bdi><code>${output.name}</code></bdi>`,
      ...metrics.map(({ name, format }) => ifKnown(driftIn(output, name), format)),
    ]),
  })}${shown.length < outputs.length ? html`<p class="note">And ${count(outputs.length - shown.length)} more, in the report’s JSON.</p>\n` : null}`;
}

function driftIn(output: NonNullable<Evaluation['outputs']>[number], name: MetricName): number | null {
  return name in output ? output[name as keyof typeof output & MetricName] : null;
}

/** What each repair brought, and what it left out. */
export function repairTable({ repair, evaluation, structures }: Report): Markup | null {
  if (repair.length === 0) return null;
  const isByDrift = evaluation !== null && repair.some((step) => isJudgedByDrift(step, evaluation));
  const metric = evaluation && metricOf(isByDrift ? 'relative_l2' : 'loss', evaluation);
  return html`${table({
    label: 'Repairs',
    caption: evaluation
      ? 'One after the other; a repair stays where the model is better with it, on samples that neither its fit nor the other figures are of'
      : 'One after the other, not measured',
    columns: [
      ...['Repair', 'Repaired', 'Left out'],
      ...(metric ? [`${metric.title} before`, 'After', 'Change'] : []),
      'Kept',
    ],
    rows: repair.map((step) => [
      ...[step.name, count(step.n_repaired), count(step.left_out.length)],
      ...(metric ? broughtBy(step, metric) : []),
      step.kept ? 'yes' : 'no',
    ]),
  })}${repair.map(leftOut)}${repair.map(movedWeights)}<p class="note">Everything else on this page is of the model with the repairs that were kept; the other models beside it were repaired in the same way.${structures === null ? ' Removed weights stay zero.' : null}</p>
`;
}

function broughtBy(step: Repair, { name, format }: Metric): Content[] {
  const [before, after] =
    name === 'loss' ? [step.loss_before, step.loss_after] : [step.relative_l2_before, step.relative_l2_after];
  const show = (value: number | null) => ifKnown(value, format) ?? 'not finite';
  if (step.n_repaired === 0) return [show(before), null, null];
  const change = before !== null && after !== null && before > 0 ? formatRelativeChange(after, before) : null;
  return [show(before), show(after), change];
}

/** By reason: many layers have the same. */
function leftOut({ name, left_out }: Repair): Markup | null {
  if (left_out.length === 0) return null;
  const byReason = [...Map.groupBy(left_out, ({ reason }) => reason)];
  const reasons = byReason.map(
    ([
      reason,
      [first, ...others],
    ]) => html`<li><bdi>${first.name}</bdi>${others.length > 0 ? ` and ${count(others.length)} more` : null}: ${reason}</li>
`,
  );
  return folded(
    `Left out by ${name}`,
    html`<ul>
${reasons}</ul>
`,
  );
}

/** Of a repair that chooses masks what it keeps of each weight, and scores did not. */
function movedWeights({ name, kept, moved = [] }: Repair): Markup | null {
  if (!kept || moved.length === 0) return null;
  const items = moved.map(
    (tensor) => html`<li><bdi>${tensor.name}</bdi>: ${count(tensor.n_moved)}</li>
`,
  );
  const all = moved.reduce((sum, { n_moved }) => sum + n_moved, 0);
  return folded(
    `${count(all)} weights kept by ${name} and not by their scores`,
    html`<ul>
${items}</ul>
`,
  );
}

/** What curvature says of the loss change, beside what was measured; null where no trace is known. */
export function lossBoundTable({ loss_bound, evaluation, recipe }: Report): Markup | null {
  if (loss_bound === null || loss_bound.hessian_trace === null) return null;
  const { per_trace, hessian_trace, standard_error, bound, asymptotic } = loss_bound;
  const withError = (value: number, error: number | null) =>
    `${formatNumber(value)}${error === null ? '' : ` ± ${formatNumber(ERRORS * error, 2)}`}`;
  const atMost = (value: number | null, error: number | null) =>
    ifKnown(value, (known) => `at most ${withError(known, error)}`);
  const origin =
    standard_error === null && recipe.hessian_trace !== null
      ? 'as given'
      : `estimated from ${recipe.hessian_probes} random vectors on the calibration data`;
  return html`${table({
    label: 'Loss change and curvature',
    caption: 'Change of the loss by pruning',
    columns: ['', 'Loss change'],
    rows: [
      ['Measured on the evaluation data', lossChange(evaluation) ?? 'not measured'],
      ['Estimated bound', atMost(bound, standard_error && per_trace * standard_error)],
      ['Eq. 5 of the paper, which is loose', atMost(asymptotic, null)],
    ],
  })}<p class="note">The bound is a second-order estimate, not a guarantee: ${formatNumber(per_trace)} (known exactly from the removed weights) times the trace of the
loss’s Hessian, ${withError(hessian_trace, standard_error)}, ${origin}.${
    hessian_trace < 0 ? ' Of a negative trace there is no bound: the model is not near a minimum.' : null
  }</p>
`;
}

function lossChange(evaluation: Report['evaluation']): string | null {
  if (!evaluation || evaluation.dense.loss === null || evaluation.pruned.loss === null) return null;
  const { loss, loss_increase_standard_error } = evaluation.pruned;
  return formatChange(loss - evaluation.dense.loss, loss_increase_standard_error);
}
