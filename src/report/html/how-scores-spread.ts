import * as Plot from '@observablehq/plot';
import { preservedMassBoundPaper } from '../../core/bounds.ts';
import { keepCount } from '../../core/statistics.ts';
import { movedTensors } from '../moved-weights.ts';
import type { Report } from '../report.ts';
import { chosenBeta, nounsOf } from '../reported-recipe.ts';
import {
  count,
  counted,
  formatCompact,
  formatGuarantee,
  formatNumber,
  formatPercent,
  formatTick,
} from '../wording.ts';
import {
  ABOVE_FRAME,
  chartFigure,
  drawChart,
  INK,
  KEPT,
  type LegendEntry,
  logAxis,
  MUTED,
  PAPER,
  REMOVED,
} from './chart.ts';
import { whyKeptBelow } from './kept-below.ts';
import { html, type Markup } from './markup.ts';

/** Share of the scores below the drawn range: the tail of the small ones is long and holds next to nothing. */
const CUT_TAIL = 0.001;

export function scoreCharts(report: Report): Markup {
  const charts = [histogramChart(report), lorenzChart(report)].filter((chart) => chart !== null);
  return charts.length === 0
    ? html`<p>All scores are zero: there is nothing to draw.</p>`
    : html`<div class="pair">${charts}</div>`;
}

/** How the scores spread, and where the one threshold of scope `global` cuts them. */
function histogramChart(report: Report): Markup | null {
  const { scores, total } = report;
  const { edges, counts } = scores;
  const first = firstDrawn(counts);
  if (first === null) return null;
  const { threshold } = total;
  const bars = counts.flatMap((count, i) =>
    i < first ? [] : barsOf(edges[i], edges[i + 1], count, threshold),
  );
  const domain = [edges[first], edges[edges.length - 1]] as const;
  const hidden = counts.slice(0, first).reduce((sum, count) => sum + count, scores.zero);
  const tallest = counts.indexOf(Math.max(...counts));
  const { description, legend } = thresholdInWords(report);
  const sentences = [
    `Histogram of ${count(total.n)} importance scores on a logarithmic scale.`,
    `Most scores of one bin, ${count(counts[tallest])}, lie between ${formatNumber(edges[tallest])} and ${formatNumber(edges[tallest + 1])}.`,
    description,
  ];
  return chartFigure({
    title: 'Importance scores',
    chart: drawChart(sentences.join(' '), {
      height: 240,
      marginTop: 34,
      marginLeft: 46,
      marginRight: 14,
      marginBottom: 40,
      x: { ...logAxis(domain), label: 'score' },
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
    legend,
    note:
      hidden === 0
        ? null
        : `Not drawn: ${counted(hidden, { one: 'score', many: 'scores' })} (${formatPercent(hidden / total.n)}), zero or further to the left.`,
  });
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

/**
 * A bin as scores per doubling: on a logarithmic axis equal areas are equal counts, however wide the bins. The one that the threshold
 * lies in is kept in part: two bars of one height.
 */
function barsOf(from: number, to: number, count: number, threshold: number | null) {
  const height = count / Math.log2(to / from);
  if (threshold === null || threshold <= from) return [{ from, to, height, fill: KEPT }];
  if (threshold >= to) return [{ from, to, height, fill: REMOVED }];
  return [
    { from, to: threshold, height, fill: REMOVED },
    { from: threshold, to, height, fill: KEPT },
  ];
}

function thresholdMark(threshold: number, [from, to]: readonly number[]): Plot.Markish {
  const place = Math.log(threshold / from) / Math.log(to / from);
  if (!(place >= 0 && place <= 1)) return null;
  return [
    Plot.ruleX([threshold], { stroke: INK, strokeWidth: 1.5 }),
    Plot.text([`threshold ${formatNumber(threshold)}`], {
      ...ABOVE_FRAME,
      x: [threshold],
      textAnchor: place < 0.5 ? 'start' : 'end',
      dx: place < 0.5 ? -4 : 4,
      dy: -3,
    }),
  ];
}

function thresholdInWords(report: Report): { description: string; legend: LegendEntry[] } {
  const { n, n_keep, threshold, sparsity } = report.total;
  const [kept, removed] = [count(n_keep), count(n - n_keep)];
  if (threshold === null) {
    const owner = report.structures === null ? 'tensor or row' : 'family';
    return {
      description: `There is no one threshold. Kept: ${kept}.`,
      legend: [['kept', `all scores; each ${owner} has a threshold of its own`]],
    };
  }
  const place = `The threshold is ${formatNumber(threshold)};`;
  const share = formatPercent(sparsity);
  const why = whyKeptBelow(report);
  return why !== null
    ? {
        description: `${place} ${kept} are kept, some of them below it, and ${removed} are removed (${share}).`,
        legend: [
          ['kept', why.above],
          ['removed', why.below],
        ],
      }
    : {
        description: `${place} above it ${kept} are kept, below it ${removed} are removed (${share}).`,
        legend: [
          ['kept', `kept: ${kept}`],
          ['removed', `removed: ${removed}`],
        ],
      };
}

/** How unequal the scores are: what share of the mass the highest of them hold, and what is guaranteed. */
function lorenzChart(report: Report): Markup | null {
  const { scores, total } = report;
  if (scores.n_eff === null || scores.lorenz.length < 2) return null;
  const kept = total.n_keep / total.n;
  const effective = scores.n_eff / total.n;
  const { unit } = nounsOf(report);
  const holding = `${formatPercent(kept)} of the ${unit.many} hold ${formatPercent(total.preserved_mass)} of the mass`;
  const isGuaranteed = movedTensors(report.repair).size === 0;
  const guaranteed = formatGuarantee(total.preserved_mass_bound);
  const legend: LegendEntry[] = [
    ['line', 'mass held by the highest scores (Lorenz curve)'],
    ['chosen', `kept: ${holding}`],
    ...(isGuaranteed ? [['triangle', `guaranteed: at least ${guaranteed}`] as const] : []),
    ['dashed', `N_eff is ${formatPercent(effective)} of N (${formatNumber(scores.n_eff)})`],
    ['dotted', 'if all scores were equal'],
  ];
  const share = (value: number) => value;
  const bounds = isGuaranteed ? [{ mass: total.preserved_mass_bound, fill: INK, size: 4.5 }] : [];
  const paper = isGuaranteed ? paperBound(report) : null;
  let byPaper = '';
  if (paper !== null) {
    byPaper = `, ${formatGuarantee(paper)} by the paper's bound`;
    legend.splice(3, 0, ['hollowTriangle', `the paper's bound: ${formatGuarantee(paper)}`]);
    // The larger mark and below: often the two are nearly the same.
    bounds.unshift({ mass: paper, fill: PAPER, size: 8 });
  }
  const sentences = [
    `Lorenz curve of the importance scores: share of the mass against share of ${unit.many}, highest scores first.`,
    `The kept ${holding}${isGuaranteed ? `; at least ${guaranteed} is guaranteed${byPaper}` : ''}.`,
    `N_eff of all scores is ${formatPercent(effective)} of their number.`,
  ];
  return chartFigure({
    title: 'Where the mass is',
    chart: drawChart(sentences.join(' '), {
      height: 290,
      marginTop: 28,
      marginLeft: 46,
      marginRight: 18,
      marginBottom: 40,
      x: { domain: [0, 1], ticks: 5, tickFormat: formatTick, label: `${unit.many}, highest scores first` },
      y: { domain: [0, 1], ticks: 5, tickFormat: formatTick, label: 'share of the mass' },
      r: { type: 'identity' },
      marks: [
        Plot.ruleY([0], { stroke: INK }),
        Plot.line([0, 1], { x: share, y: share, stroke: MUTED, strokeWidth: 1.5, strokeDasharray: '2 3' }),
        Plot.ruleX([effective], { stroke: INK, strokeWidth: 1.5, strokeDasharray: '5 3' }),
        Plot.line(scores.lorenz, { stroke: KEPT, strokeWidth: 2.5 }),
        Plot.dot(bounds, {
          x: () => kept,
          y: 'mass',
          symbol: 'triangle',
          r: 'size',
          fill: 'fill',
          stroke: INK,
          strokeWidth: 1.5,
        }),
        Plot.dot([[kept, total.preserved_mass]], { r: 5.5, fill: KEPT, stroke: PAPER, strokeWidth: 1.5 }),
      ],
    }),
    legend,
    note: noteOf(report),
  });
}

/** Why what is kept may lie below the curve. */
function noteOf(report: Report): string | null {
  const why = whyKeptBelow(report);
  if (why !== null) return why.note;
  if (report.total.n_eff !== null) return null;
  const decided =
    report.structures === null
      ? 'Each tensor or row is decided on its own here'
      : 'Each family is decided on its own here, or with other small ones';
  return `The curve ranks all scores together. ${decided}, so what is kept may lie below it.`;
}

/** Theorem 4.2 of the paper is about one score vector of which EMP's count of the highest is kept: scope `global`. */
function paperBound(report: Report): number | null {
  const { n, n_eff } = report.total;
  const beta = chosenBeta(report);
  if (n_eff === null || beta === null) return null;
  // Not `n_keep`: what `min_density` adds is not the highest that is left.
  return preservedMassBoundPaper(n, keepCount(n_eff, beta, n), beta);
}
