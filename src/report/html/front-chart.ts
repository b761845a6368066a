import * as Plot from '@observablehq/plot';
import { type FrontPoint, frontOf } from '../search-front.ts';
import type { SearchFacts } from '../search-report.ts';
import { formatTick, percent } from '../wording.ts';
import { chartFigure, drawChart, INK, KEPT, MUTED, PAPER } from './chart.ts';
import type { Markup } from './markup.ts';

/** What was tried that nothing else beats: what is left of the model against what that costs. Null where there is nothing to draw. */
export function frontChart(facts: SearchFacts): Markup | null {
  const front = frontOf(facts);
  if (front === null) return null;
  const { points, limit, amount, cost } = front;
  const best = points.filter(({ isBest }) => isBest);
  const place = { x: 'amount', y: 'cost' } as const;
  const said = points.map(
    (point) => `${percent(point.amount)} left at ${percent(point.cost)}${point.isBest ? ', the best' : ''}`,
  );
  const colour = ({ isWithin }: FrontPoint) => (isWithin ? KEPT : MUTED);
  return chartFigure({
    title: `${cost} against ${amount}`,
    chart: drawChart(`The front of ${points.length} models: ${said.join('; ')}.`, {
      height: 240,
      marginTop: 16,
      marginLeft: 56,
      marginRight: 20,
      marginBottom: 40,
      x: {
        domain: [0, Math.max(1, ...points.map((point) => point.amount))],
        ticks: 5,
        tickFormat: formatTick,
        label: amount,
      },
      y: { ticks: 5, tickFormat: formatTick, inset: 12, label: null, nice: true },
      marks: [
        Plot.ruleY([0], { stroke: INK, strokeWidth: 1 }),
        Plot.ruleY(limit === null ? [] : [limit], { stroke: INK, strokeWidth: 1.5, strokeDasharray: '5 3' }),
        Plot.line(points, { ...place, stroke: KEPT, strokeWidth: 1.5, curve: 'step-after' }),
        Plot.dot(points, { ...place, r: 4, fill: colour }),
        Plot.dot([{ amount: 1, cost: 0 }], {
          ...place,
          symbol: 'diamond',
          r: 5,
          fill: PAPER,
          stroke: INK,
          strokeWidth: 1.5,
        }),
        Plot.dot(best, { ...place, r: 6, fill: KEPT, stroke: PAPER, strokeWidth: 2 }),
      ],
    }),
    legend: [
      ...(best.length > 0
        ? [['chosen', `the best: ${percent(best[0].amount)} left at ${percent(best[0].cost)}`] as const]
        : []),
      ['line', 'the front'],
      ['measured', 'not within the promise'],
      ['diamond', 'the model itself'],
      ...(limit === null ? [] : [['dashed', `limit: ${percent(limit)}`] as const]),
    ],
    note: 'Down and to the left is better; measured on the samples that choices are made on.',
  });
}
