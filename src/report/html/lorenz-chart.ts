import * as Plot from '@observablehq/plot';
import { preservedMassBoundPaper } from '../../core/bounds.ts';
import { keepCount } from '../../core/statistics.ts';
import type { Report } from '../report.ts';
import { chosenBeta } from './asked.ts';
import { keepsBelowThreshold } from './below-threshold.ts';
import {
  chartFigure,
  drawChart,
  formatTick,
  INK,
  KEPT,
  type LegendEntry,
  MUTED,
  PAPER,
  SYMBOLS,
} from './chart.ts';
import { formatGuarantee, formatNumber, formatPercent } from './format.ts';
import type { Markup } from './markup.ts';
import { nounsOf } from './nouns.ts';

/** How unequal the scores are: what share of the mass the highest of them hold, and what is guaranteed. */
export function lorenzChart(report: Report): Markup | null {
  const { scores, total } = report;
  if (scores.n_eff === null || scores.lorenz.length < 2) return null;
  const kept = total.n_keep / total.n;
  const effective = scores.n_eff / total.n;
  const paper = paperBound(report);
  const { unit } = nounsOf(report);

  const legend: LegendEntry[] = [
    { symbol: SYMBOLS.line, text: 'mass held by the highest scores (Lorenz curve)' },
    {
      symbol: SYMBOLS.chosen,
      text: `kept: ${formatPercent(kept)} of the ${unit.many} hold ${formatPercent(total.preserved_mass)} of the mass`,
    },
    { symbol: SYMBOLS.triangle, text: `guaranteed: at least ${formatGuarantee(total.preserved_mass_bound)}` },
    ...(paper === null
      ? []
      : [{ symbol: SYMBOLS.hollowTriangle, text: `the paper's bound: ${formatGuarantee(paper)}` }]),
    {
      symbol: SYMBOLS.dashed,
      text: `N_eff is ${formatPercent(effective)} of N (${formatNumber(scores.n_eff)})`,
    },
    { symbol: SYMBOLS.dotted, text: 'if all scores were equal' },
  ];
  const description = [
    `Lorenz curve of the importance scores: share of the mass against share of ${unit.many}, highest scores first.`,
    `The kept ${formatPercent(kept)} of the ${unit.many} hold ${formatPercent(total.preserved_mass)} of the mass; at least ${formatGuarantee(total.preserved_mass_bound)} is guaranteed${paper === null ? '' : `, ${formatGuarantee(paper)} by the paper's bound`}.`,
    `N_eff of all scores is ${formatPercent(effective)} of their number.`,
  ].join(' ');

  // The paper's is the larger mark and below: often the two are nearly the same.
  const bounds = [{ mass: total.preserved_mass_bound, fill: INK, size: 4.5 }];
  if (paper !== null) bounds.unshift({ mass: paper, fill: PAPER, size: 8 });
  return chartFigure({
    title: 'Where the mass is',
    chart: drawChart(description, {
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
        Plot.line(
          [
            [0, 0],
            [1, 1],
          ],
          { stroke: MUTED, strokeWidth: 1.5, strokeDasharray: '2 3' },
        ),
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
  if (keepsBelowThreshold(report))
    return 'Some families keep more than their part of the highest scores, for their counts were rounded up or raised: what is kept lies below the curve.';
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
