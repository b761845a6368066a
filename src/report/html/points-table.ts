import type { Curve, Point } from '../cost-curves.ts';
import { formatFigure, measuredMetrics } from '../metric-figures.ts';
import type { Evaluation } from '../report.ts';
import { formatPercent, ifKnown, number } from '../wording.ts';
import { folded, type Markup, table } from './markup.ts';

/** All points of a curve. */
export function pointsTable({ points, chosen }: Curve, evaluation: Evaluation): Markup {
  const caption = 'Measured at each beta, by sparsity';
  const all = tableOf('All measured points', caption, points, chosen, evaluation);
  return folded(`All ${points.length} points`, all);
}

/** Of the samples that the report is of, where the curve is of others. */
export function sweepTable(evaluation: Evaluation): Markup | null {
  const { sweep } = evaluation;
  if (sweep.length === 0) return null;
  const caption = 'The betas of the sweep, on samples that no choice saw';
  return folded(`The sweep of ${sweep.length}`, tableOf('Sweep', caption, sweep, null, evaluation));
}

function tableOf(
  label: string,
  caption: string,
  points: readonly Point[],
  chosen: Point | null,
  evaluation: Evaluation,
): Markup {
  const metrics = measuredMetrics(evaluation);
  return table({
    label,
    caption,
    columns: ['Beta', 'Sparsity', ...metrics.map(({ title }) => title)],
    rows: points.map((point) => [
      `${ifKnown(point.beta, number) ?? 'budget'}${point === chosen ? ' (chosen)' : ''}`,
      formatPercent(point.sparsity),
      ...metrics.map((metric) => formatFigure(metric, point)),
    ]),
  });
}
