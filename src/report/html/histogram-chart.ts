import * as Plot from '@observablehq/plot';
import type { Report } from '../report.ts';
import { keepsBelowThreshold } from './below-threshold.ts';
import { chartFigure, drawChart, INK, KEPT, type LegendEntry, REMOVED, RIMMED, SYMBOLS } from './chart.ts';
import { formatCompact, formatCount, formatNumber, formatPercent, formatPowerOfTen } from './format.ts';
import type { Markup } from './markup.ts';

/** Share of the scores below the drawn range: the tail of the small ones is long and holds next to nothing. */
const CUT_TAIL = 0.001;
const MAX_TICKS = 6;

interface Bar {
  readonly from: number;
  readonly to: number;
  /** Scores per doubling: on a logarithmic axis equal areas are equal counts, however wide the bins. */
  readonly height: number;
  readonly fill: string;
}

/** How the scores spread, and where the one threshold of scope `global` cuts them. */
export function histogramChart(report: Report): Markup | null {
  const { scores, total } = report;
  const { edges, counts } = scores;
  const first = firstDrawn(counts);
  if (first === null) return null;
  const { threshold } = total;
  const bars = counts.flatMap((count, i) =>
    i < first ? [] : barsOf(edges[i], edges[i + 1], count, threshold),
  );
  const domain = [edges[first], edges[edges.length - 1]];
  const hidden = counts.slice(0, first).reduce((sum, count) => sum + count, scores.zero);
  const tallest = counts.indexOf(Math.max(...counts));
  const description = [
    `Histogram of ${formatCount(total.n)} importance scores on a logarithmic scale.`,
    `Most scores of one bin, ${formatCount(counts[tallest])}, lie between ${formatNumber(edges[tallest])} and ${formatNumber(edges[tallest + 1])}.`,
    describeThreshold(report),
  ].join(' ');

  return chartFigure({
    title: 'Importance scores',
    chart: drawChart(description, {
      height: 240,
      marginTop: 34,
      marginLeft: 46,
      marginRight: 14,
      marginBottom: 40,
      x: {
        type: 'log',
        domain,
        ticks: logTicks(domain[0], domain[1]),
        tickFormat: formatLogTick,
        label: 'score',
      },
      y: { ticks: 4, tickFormat: formatCompact, label: 'scores per doubling', insetTop: 4 },
      marks: [
        Plot.rectY(bars, {
          x1: 'from',
          x2: 'to',
          y: 'height',
          fill: 'fill',
          insetLeft: 0.25,
          insetRight: 0.25,
        }),
        Plot.ruleY([0], { stroke: INK }),
        threshold === null ? null : thresholdMark(threshold, domain),
      ],
    }),
    legend: legendOf(report),
    note:
      hidden === 0
        ? null
        : `Not drawn: ${formatCount(hidden)} ${hidden === 1 ? 'score' : 'scores'} (${formatPercent(hidden / total.n)}), zero or further to the left.`,
  });
}

/** The bin that the threshold lies in is kept in part: two bars of one height. */
function barsOf(from: number, to: number, count: number, threshold: number | null): Bar[] {
  const height = count / Math.log2(to / from);
  if (threshold === null || threshold <= from) return [{ from, to, height, fill: KEPT }];
  if (threshold >= to) return [{ from, to, height, fill: REMOVED }];
  return [
    { from, to: threshold, height, fill: REMOVED },
    { from: threshold, to, height, fill: KEPT },
  ];
}

function firstDrawn(counts: readonly number[]): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  let below = 0;
  for (const [i, count] of counts.entries()) {
    below += count;
    if (below > CUT_TAIL * total) return i;
  }
  return null;
}

function thresholdMark(threshold: number, [from, to]: readonly number[]): Plot.Markish {
  const place = Math.log(threshold / from) / Math.log(to / from);
  if (!(place >= 0 && place <= 1)) return null;
  return [
    Plot.ruleX([threshold], { stroke: INK, strokeWidth: 1.5 }),
    Plot.text([`threshold ${formatNumber(threshold)}`], {
      x: [threshold],
      frameAnchor: 'top',
      lineAnchor: 'bottom',
      textAnchor: place < 0.5 ? 'start' : 'end',
      dx: place < 0.5 ? -4 : 4,
      dy: -3,
      ...RIMMED,
    }),
  ];
}

function describeThreshold(report: Report): string {
  const { n, n_keep, threshold, sparsity } = report.total;
  const [kept, removed] = [formatCount(n_keep), formatCount(n - n_keep)];
  if (threshold === null) return `There is no one threshold. Kept: ${kept}.`;
  const place = `The threshold is ${formatNumber(threshold)};`;
  return keepsBelowThreshold(report)
    ? `${place} ${kept} are kept, some of them below it, and ${removed} are removed (${formatPercent(sparsity)}).`
    : `${place} above it ${kept} are kept, below it ${removed} are removed (${formatPercent(sparsity)}).`;
}

function legendOf(report: Report): LegendEntry[] {
  const { n, n_keep, threshold } = report.total;
  if (threshold === null) {
    const owner = report.structures === null ? 'tensor or row' : 'family';
    return [{ symbol: SYMBOLS.kept, text: `all scores; each ${owner} has a threshold of its own` }];
  }
  if (keepsBelowThreshold(report)) {
    return [
      { symbol: SYMBOLS.kept, text: 'above the threshold: kept' },
      {
        symbol: SYMBOLS.removed,
        text: 'below it: removed, unless the count of a family was rounded up or raised',
      },
    ];
  }
  return [
    { symbol: SYMBOLS.kept, text: `kept: ${formatCount(n_keep)}` },
    { symbol: SYMBOLS.removed, text: `removed: ${formatCount(n - n_keep)}` },
  ];
}

/** Powers of ten, all or every so many; below two of them also their doubles and halves. */
function logTicks(from: number, to: number): number[] {
  const decades = Math.log10(to / from);
  const step = Math.max(1, Math.ceil(decades / MAX_TICKS));
  const digits = decades < 2 ? [1, 2, 5] : [1];
  const ticks: number[] = [];
  for (let exponent = Math.floor(Math.log10(from)); exponent <= Math.log10(to); exponent++) {
    if (exponent % step !== 0) continue;
    ticks.push(...digits.map((digit) => Number(`${digit}e${exponent}`)));
  }
  return ticks.filter((tick) => tick >= from && tick <= to);
}

function formatLogTick(tick: number): string {
  const [digit, exponent] = tick.toExponential().split('e').map(Number);
  if (exponent >= -2 && exponent <= 2) return String(tick);
  return digit === 1 ? formatPowerOfTen(exponent) : `${digit}·${formatPowerOfTen(exponent)}`;
}
