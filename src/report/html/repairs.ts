import type { Report } from '../report.ts';
import { formatCount, formatRelativeChange } from './format.ts';
import { html, type Markup } from './markup.ts';
import { formatFigure, type Metric, measuredMetrics } from './metrics.ts';
import { table } from './table.ts';

type Repair = Report['repair'][number];

/** What each repair brought, and what it left out. */
export function repairTable({ repair, evaluation, structures }: Report): Markup {
  const metric =
    evaluation && measuredMetrics(evaluation).find(({ name }) => name === 'loss' || name === 'relative_l2');
  return html`${table({
    label: 'Repairs',
    caption: evaluation
      ? 'One after the other; a repair stays where the model is better with it'
      : 'One after the other, not measured',
    columns: [
      'Repair',
      'Repaired',
      'Left out',
      ...(metric ? [`${metric.title} before`, 'After', 'Change'] : []),
      'Kept',
    ],
    rows: repair.map((step) => [
      step.name,
      formatCount(step.n_repaired),
      formatCount(step.left_out.length),
      ...(metric ? figures(step, metric) : []),
      step.kept ? 'yes' : 'no',
    ]),
  })}${repair.map(leftOut)}<p class="note">Everything else on this page is of the model with the repairs that were kept; the other models beside it were repaired in the same way.${structures === null ? ' Removed weights stay zero.' : null}</p>
`;
}

function figures(step: Repair, metric: Metric): string[] {
  const [before, after] =
    metric.name === 'loss'
      ? [step.loss_before, step.loss_after]
      : [step.relative_l2_before, step.relative_l2_after];
  if (step.n_repaired === 0) return [formatFigure(metric, before), '–', '–'];
  const change = before !== null && after !== null && before > 0 ? formatRelativeChange(after, before) : '–';
  return [formatFigure(metric, before), formatFigure(metric, after), change];
}

/** By reason: many layers have the same. */
function leftOut({ name, left_out }: Repair): Markup | null {
  if (left_out.length === 0) return null;
  const byReason = [...Map.groupBy(left_out, ({ reason }) => reason)];
  return html`<details>
<summary>Left out by ${name}</summary>
<ul>
${byReason.map(
  ([
    reason,
    [first, ...others],
  ]) => html`<li><bdi>${first?.name ?? ''}</bdi>${others.length > 0 ? ` and ${formatCount(others.length)} more` : null}: ${reason}</li>
`,
)}</ul>
</details>
`;
}
