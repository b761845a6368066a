import * as Plot from '@observablehq/plot';
import { METRICS } from '../../recipe/terms.ts';
import type { Report } from '../report.ts';
import type { SensitivityFigures } from '../sensitivity-figures.ts';
import { counted, formatNumber, formatPercent, ifKnown } from '../wording.ts';
import {
  CHART_WIDTH,
  chartFigure,
  drawChart,
  INK,
  KEPT,
  type LegendEntry,
  logAxis,
  MUTED,
  PAPER,
  shortenName,
  visibleName,
} from './chart.ts';
import { html, type Markup, table } from './markup.ts';

/** More rows than this are no picture any more: those that cost most are drawn. */
const MAX_ROWS = 40;
const ROW_HEIGHT = 34;
const NAME_COLUMNS = 42;
const FRAME = { marginTop: 8, marginLeft: 14, marginRight: 14, marginBottom: 40 };
/** From the mildest amount to the largest. */
const MARKS = [
  { symbol: 'ring', r: 4.5, fill: PAPER, stroke: KEPT },
  { symbol: 'measured', r: 3.5, fill: MUTED, stroke: MUTED },
  { symbol: 'chosen', r: 5, fill: KEPT, stroke: PAPER },
] as const;

type Tensor = SensitivityFigures['tensors'][number];

/** What each tensor costs where it alone is pruned; null where that was not asked for. */
export function sensitivityChart({ sensitivity }: Report): Markup | null {
  if (sensitivity === null || sensitivity.tensors.length === 0) return null;
  const { by, sparsities, tensors } = sensitivity;
  const { title } = METRICS[by];
  const format = by === 'kl' ? formatNumber : formatPercent;
  const byCost = tensors.toSorted((a, b) => worst(b) - worst(a));
  const drawn = byCost.slice(0, MAX_ROWS);
  const [first, last] = [byCost[0], byCost[byCost.length - 1]];
  const most = sparsities.map((sparsity) => formatPercent(sparsity));
  const description = `${title} where one tensor alone loses ${most.join(', ')}. It costs most in ${visibleName(first.name)}, least in ${visibleName(last.name)}.`;
  const legend = MARKS.slice(0, sparsities.length).map(
    ({ symbol }, i): LegendEntry => [symbol, `${most[i]} of the tensor’s weights gone`],
  );
  const isCut = drawn.length < tensors.length;
  return html`<div class="pair">${chartFigure({
    title: `${title} where one tensor alone is pruned`,
    chart: drawPoints(drawn, title, description),
    legend,
    note: isCut ? `Drawn are the ${drawn.length} of ${tensors.length} tensors that cost most.` : null,
  })}</div>
<details><summary>${counted(tensors.length, { one: 'tensor', many: 'tensors' })} in figures</summary>
${table({
  label: 'Sensitivity',
  caption: `${title} by the share of the one tensor that goes`,
  columns: ['Tensor', ...most],
  rows: tensors.map(({ name, distance }) => [
    name,
    ...distance.map((value) => ifKnown(value, format) ?? 'not finite'),
  ]),
})}</details>
<p class="note">Nothing is repaired here. What single tensors cost does not add up to what all together do.</p>
`;
}

/** A value that is not finite is worse than any. */
function worst({ distance }: Tensor): number {
  return distance[distance.length - 1] ?? Number.POSITIVE_INFINITY;
}

function drawPoints(tensors: readonly Tensor[], title: string, description: string): Markup {
  const points = tensors.flatMap(({ distance }, row) =>
    distance.flatMap((value, at) => (value === null || value <= 0 ? [] : [{ row, at, value }])),
  );
  const values = points.map(({ value }) => value);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const isDrawable = values.length > 0;
  const rows = [...tensors.keys()];
  return drawChart(description, {
    ...FRAME,
    width: CHART_WIDTH,
    height: FRAME.marginTop + FRAME.marginBottom + ROW_HEIGHT * tensors.length,
    x: { label: title, ...logAxis(isDrawable ? [least / 1.5, most * 1.5] : [0.1, 1]) },
    y: { type: 'band', domain: rows, axis: null },
    marks: [
      Plot.ruleY(rows, { y: (row) => row, stroke: MUTED, strokeOpacity: 0.4, dy: 8 }),
      Plot.text(rows, {
        y: (row) => row,
        text: (row) => shortenName(tensors[row].name, NAME_COLUMNS),
        frameAnchor: 'left',
        textAnchor: 'start',
        dy: -7,
        fill: INK,
      }),
      ...MARKS.map(({ r, fill, stroke }, mark) =>
        Plot.dot(
          points.filter(({ at }) => at === mark),
          { x: 'value', y: 'row', r, fill, stroke, strokeWidth: 1.5, dy: 8 },
        ),
      ),
    ],
  });
}
