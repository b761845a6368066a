import * as Plot from '@observablehq/plot';
import { compareSparsity } from '../cost.ts';
import { type Curve, curvesOf, type Point, type Scale } from '../cost-curves.ts';
import { formatFigure } from '../metric-figures.ts';
import type { Report } from '../report.ts';
import { count, formatPercent, formatTick, joined, number } from '../wording.ts';
import { ABOVE_FRAME, chartFigure, drawChart, INK, KEPT, type LegendEntry, MUTED, PAPER } from './chart.ts';
import { html, type Markup } from './markup.ts';
import { pointsTable, sweepTable } from './points-table.ts';

/** All that was measured, by its sparsity. */
export function costCurves(report: Report): Markup {
  const { evaluation } = report;
  if (evaluation === null)
    return html`<p>Not measured: with an evaluation dataset, <code>sweep_betas</code> or a <code>target</code> in the recipe draws the curve.</p>`;
  const curves = curvesOf(report, evaluation);
  if (curves.length === 0)
    return html`<p>One point makes no curve: <code>sweep_betas</code> or a <code>target</code> in the recipe measures more.</p>`;
  const { search, n_samples } = evaluation;
  const isSearched = search !== null && search.promise.ladder.length === 0;
  const samples = isSearched
    ? html`<p class="note">The curves are measured on the ${count(search.n_samples)} samples that were searched on; the figures above are of ${count(n_samples)} others.</p>`
    : null;
  const others = curves.slice(1);
  const charts = others.length === 0 ? null : html`<div class="pair">${others.map(curveChart)}</div>`;
  return html`${charts}${samples}${pointsTable(curves[0], evaluation)}${isSearched ? sweepTable(evaluation) : null}`;
}

/** What the report is mostly about, against sparsity; null where one model was measured. */
export function mainCurve(report: Report): Markup | null {
  const [curve] = report.evaluation ? curvesOf(report, report.evaluation) : [];
  return curve === undefined ? null : curveChart(curve);
}

/** One metric against sparsity: all that was measured, with the chosen model and beta 1 marked. */
function curveChart(curve: Curve): Markup {
  const { metric, dense, limit, scale } = curve;
  const drawn = placed(curve);
  const level = { strokeWidth: 1.5, stroke: INK };
  const { description, legend } = inWords(curve, drawn);
  return chartFigure({
    title: `${metric.title}${scale.isLogarithmic ? ' (logarithmic)' : ''} against sparsity`,
    chart: drawChart(description, {
      height: 260,
      marginTop: 38,
      marginLeft: 56,
      marginRight: 14,
      marginBottom: 40,
      x: { nice: true, ticks: 4, tickFormat: formatTick, inset: 14, label: 'sparsity' },
      y: {
        type: scale.isLogarithmic ? 'log' : 'linear',
        domain: [scale.least, scale.most],
        ticks: 5,
        inset: 10,
        // Squared errors have any size: 1e+9 still fits, and 0.01 is not to be 10m.
        tickFormat: metric.name === 'loss' ? '~g' : formatTick,
        label: null,
      },
      marks: [
        Plot.ruleY(dense === null ? [] : [dense], level),
        Plot.ruleY(limit === null ? [] : [limit], { ...level, strokeDasharray: '5 3' }),
        Plot.link(segmentsOf(drawn, scale), {
          x1: 'x1',
          y1: 'y1',
          x2: 'x2',
          y2: 'y2',
          stroke: KEPT,
          strokeWidth: 1.5,
        }),
        Plot.dot(
          drawn.filter(({ off }) => off === 0),
          { x: 'sparsity', y: 'value', r: 3, fill: MUTED },
        ),
        Plot.dot(
          drawn.filter(({ off }) => off !== 0),
          {
            x: 'sparsity',
            y: ({ off }: Placed) => (off > 0 ? scale.most : scale.least),
            symbol: 'triangle',
            rotate: ({ off }: Placed) => (off > 0 ? 0 : 180),
            r: 4,
            fill: MUTED,
          },
        ),
        ...landmarks(curve, drawn),
        ...uniformMark(curve),
      ],
    }),
    legend,
    note: noteOf(curve, drawn),
  });
}

/** A point that has a value, and whether that is above (1) or below (-1) the axis. */
interface Placed {
  readonly point: Point;
  readonly sparsity: number;
  readonly value: number;
  readonly off: number;
}

function placed({ metric, points, scale: { least, most } }: Curve): Placed[] {
  return points.flatMap((point) => {
    const value = point[metric.name];
    if (value === null) return [];
    return { point, sparsity: point.sparsity, value, off: value > most ? 1 : value < least ? -1 : 0 };
  });
}

/** The line from beta to beta as far as it is within the scale. */
function segmentsOf(drawn: readonly Placed[], { isLogarithmic, least, most }: Scale) {
  const byBeta = drawn.filter(({ point }) => point.beta !== null);
  const heightOf = (value: number) => (isLogarithmic ? Math.log(value) : value);
  return byBeta.slice(1).flatMap((to, i) => {
    const from = byBeta[i];
    if (from.off !== 0 && from.off === to.off) return [];
    const [start, end] = [from, to].map(({ sparsity, value, off }) => {
      if (off === 0) return { x: sparsity, y: value };
      const bound = off > 0 ? most : least;
      const part = (heightOf(bound) - heightOf(from.value)) / (heightOf(to.value) - heightOf(from.value));
      return { x: from.sparsity + part * (to.sparsity - from.sparsity), y: bound };
    });
    return { x1: start.x, y1: start.y, x2: end.x, y2: end.y };
  });
}

/** Hollow and on top: often it lies on the chosen model. */
function uniformMark({ metric, uniform }: Curve): Plot.Markish[] {
  const value = uniform?.[metric.name] ?? null;
  if (uniform === null || value === null) return [];
  const place = { x: [uniform.sparsity], y: [value], symbol: 'diamond', r: 5 } as const;
  return [Plot.dot([uniform], { ...place, fill: 'none', stroke: INK, strokeWidth: 1.5 })];
}

/** The chosen model and beta 1, named in a row each above the frame, where there is nothing else. */
function landmarks({ points, chosen, beta1 }: Curve, drawn: readonly Placed[]): Plot.Markish[] {
  const marked = drawn.filter(({ point }) => point === chosen || point === beta1);
  const [least, most] = [points[0].sparsity, points[points.length - 1].sparsity];
  const rules = marked.map(({ point, sparsity }) =>
    Plot.ruleX([sparsity], {
      stroke: MUTED,
      strokeDasharray: '2 3',
      insetTop: point === chosen ? -4 : -20,
    }),
  );
  const names = marked.map(({ point, sparsity }) => {
    const place = most > least ? (sparsity - least) / (most - least) : 0.5;
    const side = place < 0.3 ? 'start' : place > 0.7 ? 'end' : 'middle';
    return Plot.text([labelOf(point, point === chosen)], {
      ...ABOVE_FRAME,
      x: [sparsity],
      textAnchor: side,
      dx: { start: -6, middle: 0, end: 6 }[side],
      dy: point === chosen ? -6 : -22,
    });
  });
  const dots = marked.map(({ point, sparsity, value }) =>
    Plot.dot([point], {
      x: [sparsity],
      y: [value],
      r: 5.5,
      fill: point === chosen ? KEPT : PAPER,
      stroke: point === chosen ? PAPER : KEPT,
      strokeWidth: 2,
    }),
  );
  return [...rules, ...dots, ...names];
}

function labelOf({ beta }: Point, isChosen: boolean): string {
  if (beta === null) return 'chosen';
  return `${isChosen ? 'chosen: ' : ''}beta ${number(beta)}`;
}

/** What is marked, for those who see it and for those who do not. */
function inWords(
  { metric, points, chosen, beta1, uniform, dense, limit }: Curve,
  drawn: readonly Placed[],
): { description: string; legend: LegendEntry[] } {
  const chosenTitle = chosen.beta === null ? 'Chosen' : `Chosen, beta ${number(chosen.beta)}`;
  const models = [
    ['chosen', 'chosen', chosenTitle, chosen],
    ['ring', 'beta 1', 'Beta 1', beta1],
    ['diamond', `uniform, ${uniform && compareSparsity(uniform, chosen.sparsity)}`, 'Uniform', uniform],
  ] as const;
  const levels = [
    ['level', 'dense', 'Dense', dense],
    ['dashed', 'limit', 'Limit of the target', limit],
  ] as const;
  const marked = [
    ...models.flatMap(([symbol, name, title, model]) => {
      if (model === null) return [];
      const figure = formatFigure(metric, model);
      return {
        symbol,
        name,
        figure,
        said: `${title}: ${figure} at sparsity ${formatPercent(model.sparsity)}.`,
      };
    }),
    ...levels.flatMap(([symbol, name, title, level]) => {
      if (level === null) return [];
      const figure = metric.format(level);
      return { symbol, name, figure, said: `${title}: ${figure}.` };
    }),
  ];
  const others = drawn.filter(({ point }) => point !== chosen && point !== beta1);
  const legend: LegendEntry[] = marked.map(({ symbol, name, figure }) => [symbol, `${name}: ${figure}`]);
  if (others.some(({ off }) => off === 0)) legend.push(['measured', 'other betas']);
  if (others.some(({ off }) => off !== 0)) legend.push(['beyond', 'beyond the axis']);
  const first = `${metric.title} against sparsity of ${points.length} pruned models.`;
  return { description: [first, ...marked.map(({ said }) => said)].join(' '), legend };
}

/** What cannot be seen in its place. */
function noteOf({ metric, points }: Curve, drawn: readonly Placed[]): string | null {
  const nameOf = ({ beta }: Point) => (beta === null ? 'the chosen model' : `beta ${number(beta)}`);
  const missing = points.filter((point) => point[metric.name] === null).map(nameOf);
  const beyond = drawn
    .filter(({ off }) => off !== 0)
    .map(({ point, value }) => `${nameOf(point)}: ${metric.format(value)}`);
  const note = joined(
    missing.length > 0 ? `Not finite, and not drawn: ${missing.join(', ')}.` : null,
    beyond.length > 0 ? `Beyond the axis: ${beyond.join('; ')}.` : null,
  );
  return note === '' ? null : note;
}
