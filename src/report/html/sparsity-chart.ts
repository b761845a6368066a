import * as Plot from '@observablehq/plot';
import type { Report } from '../report.ts';
import {
  CHART_WIDTH,
  chartFigure,
  drawChart,
  formatTick,
  INK,
  KEPT,
  REMOVED,
  RIMMED,
  SYMBOLS,
} from './chart.ts';
import { columnsOfText, formatCount, formatPercent, shortenName, visibleName } from './format.ts';
import { html, type Markup } from './markup.ts';
import { nounsOf } from './nouns.ts';

/** A tensor, or a family of structures. */
type Bar = Pick<Report['tensors'][number], 'name' | 'sparsity'>;

/** More bars than this are no picture any more. */
const MAX_BARS = 40;
/** Of most fonts narrower, of none much wider. */
const COLUMN_WIDTH = 7.7;
/** Between a name and its bar. */
const NAME_GAP = 8;

interface Layout {
  readonly className: string;
  readonly width: number;
  /** Longer names are shortened. */
  readonly nameColumns: number;
  /** Of one bar, which takes the lower part of it where its name is above. */
  readonly height: number;
  readonly barHeight: number;
  /** Names stand over the bars or before them. */
  readonly isNameAbove: boolean;
}

/** Names need room, so a wide window is given a drawing of its own. The style sheet shows one of them. */
const LAYOUTS: readonly Layout[] = [
  { className: 'narrow', width: CHART_WIDTH, nameColumns: 38, height: 36, barHeight: 12, isNameAbove: true },
  { className: 'wide', width: 760, nameColumns: 40, height: 20, barHeight: 14, isNameAbove: false },
];

/** How much of each tensor or family goes. Of very many those at both ends are drawn, in the order of their sparsity. */
export function sparsityChart(report: Report): Markup {
  const { total } = report;
  const { group } = nounsOf(report);
  const groups: readonly Bar[] = report.structures?.families ?? report.tensors;
  const all = groups.length <= MAX_BARS;
  const drawn = all ? groups : extremes(groups);
  const [densest, sparsest] = [drawn.reduce(denser), drawn.reduce(sparser)];
  const description = [
    `Sparsity of ${all ? '' : `${drawn.length} of `}${formatCount(groups.length)} ${groups.length === 1 ? group.one : group.many}.`,
    `Highest: ${visibleName(sparsest.name)} with ${formatPercent(sparsest.sparsity)}. Lowest: ${visibleName(densest.name)} with ${formatPercent(densest.sparsity)}.`,
    `All together: ${formatPercent(total.sparsity)}.`,
  ].join(' ');
  const drawings = LAYOUTS.map(
    (layout) =>
      html`<div class="${layout.className}">${drawBars(drawn, total.sparsity, description, layout)}</div>`,
  );
  return chartFigure({
    title: `Sparsity of each ${group.one}`,
    chart: html`${drawings}`,
    legend: [
      { symbol: SYMBOLS.removed, text: 'removed' },
      { symbol: SYMBOLS.kept, text: 'kept' },
      { symbol: SYMBOLS.tick, text: `all together: ${formatPercent(total.sparsity)} removed` },
    ],
    note: all
      ? null
      : `The ${MAX_BARS / 2} sparsest and the ${MAX_BARS / 2} densest of ${formatCount(groups.length)} ${group.many}. The table below lists all.`,
  });
}

function drawBars(
  bars: readonly Bar[],
  total: number,
  description: string,
  { width, nameColumns, height, barHeight, isNameAbove }: Layout,
): Markup {
  const names = bars.map(({ name }) => name);
  const columns = Math.min(nameColumns, Math.max(...names.map(columnsOfText)));
  const inset = isNameAbove ? { insetTop: height - barHeight } : { inset: (height - barHeight) / 2 };
  const bar = { y: 'name', ...inset, insetLeft: 0, insetRight: 0 } as const;
  const text = { y: 'name', fill: INK, dy: isNameAbove ? -4 : 0 };
  return drawChart(description, {
    width,
    height: bars.length * height + 30,
    marginTop: 4,
    marginBottom: 26,
    marginLeft: isNameAbove ? 2 : COLUMN_WIDTH * columns + NAME_GAP + 2,
    marginRight: isNameAbove ? 16 : 56,
    x: { domain: [0, 1], ticks: 5, tickFormat: formatTick, label: null },
    y: { type: 'band', domain: names, axis: null, padding: 0 },
    marks: [
      Plot.barX(bars, { ...bar, x1: 0, x2: 'sparsity', fill: REMOVED }),
      Plot.barX(bars, { ...bar, x1: 'sparsity', x2: 1, fill: KEPT }),
      Plot.tickX(bars, { ...bar, x: () => total, stroke: INK, strokeWidth: 1.5 }),
      Plot.text(bars, {
        ...text,
        text: ({ name }: Bar) => shortenName(name, nameColumns),
        title: ({ name }: Bar) => visibleName(name),
        frameAnchor: 'left',
        textAnchor: isNameAbove ? 'start' : 'end',
        dx: isNameAbove ? 0 : -NAME_GAP,
        ...(isNameAbove ? RIMMED : {}),
      }),
      Plot.text(bars, {
        ...text,
        text: ({ sparsity }: Bar) => formatPercent(sparsity),
        frameAnchor: 'right',
        textAnchor: 'end',
        dx: isNameAbove ? 0 : 54,
        fontVariant: 'tabular-nums',
        ...(isNameAbove ? RIMMED : {}),
      }),
    ],
  });
}

function extremes(bars: readonly Bar[]): Bar[] {
  const ranked = bars.toSorted((a, b) => b.sparsity - a.sparsity);
  return [...ranked.slice(0, MAX_BARS / 2), ...ranked.slice(-MAX_BARS / 2)];
}

const denser = (a: Bar, b: Bar) => (b.sparsity < a.sparsity ? b : a);
const sparser = (a: Bar, b: Bar) => (b.sparsity > a.sparsity ? b : a);
