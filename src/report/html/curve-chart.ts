import * as Plot from '@observablehq/plot';
import { compareSparsity } from '../cost.ts';
import { formatBeta } from './asked.ts';
import {
  chartFigure,
  drawChart,
  formatTick,
  INK,
  KEPT,
  type LegendEntry,
  MUTED,
  PAPER,
  RIMMED,
  SYMBOLS,
} from './chart.ts';
import type { Curve, Point, Scale } from './curve.ts';
import { formatPercent } from './format.ts';
import type { Markup } from './markup.ts';
import { formatFigure, type Metrics } from './metrics.ts';

/** One metric against sparsity: all that was measured, with the chosen model and beta 1 marked. */
export function curveChart(curve: Curve): Markup {
  const { metric, points, dense, limit, scale } = curve;
  const { name, title } = metric;
  const drawn = placed(points, curve);
  const level = { strokeWidth: 1.5, stroke: INK };

  return chartFigure({
    title: `${title}${scale.isLogarithmic ? ' (logarithmic)' : ''} against sparsity`,
    chart: drawChart(describe(curve), {
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
        tickFormat: name === 'loss' ? '~g' : formatTick,
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
    legend: legendOf(curve, drawn),
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

function placed(points: readonly Point[], { metric, scale: { least, most } }: Curve): Placed[] {
  return points.flatMap((point) => {
    const value = point[metric.name];
    if (value === null) return [];
    return { point, sparsity: point.sparsity, value, off: value > most ? 1 : value < least ? -1 : 0 };
  });
}

interface Segment {
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
}

/** The line from beta to beta as far as it is within the scale. */
function segmentsOf(drawn: readonly Placed[], { isLogarithmic, least, most }: Scale): Segment[] {
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
    return [{ x1: start.x, y1: start.y, x2: end.x, y2: end.y }];
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
  const rules = marked.map(({ point }) =>
    Plot.ruleX([point.sparsity], {
      stroke: MUTED,
      strokeDasharray: '2 3',
      insetTop: point === chosen ? -4 : -20,
    }),
  );
  const names = marked.map(({ point }) => {
    const place = most > least ? (point.sparsity - least) / (most - least) : 0.5;
    const side = place < 0.3 ? 'start' : place > 0.7 ? 'end' : 'middle';
    return Plot.text([labelOf(point, point === chosen)], {
      x: [point.sparsity],
      frameAnchor: 'top',
      lineAnchor: 'bottom',
      textAnchor: side,
      dx: { start: -6, middle: 0, end: 6 }[side],
      dy: point === chosen ? -6 : -22,
      ...RIMMED,
    });
  });
  const dots = marked.map(({ point, value }) =>
    Plot.dot([point], {
      x: [point.sparsity],
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
  return isChosen ? `chosen: beta ${formatBeta(beta)}` : `beta ${formatBeta(beta)}`;
}

function legendOf(
  { metric, chosen, beta1, uniform, dense, limit }: Curve,
  drawn: readonly Placed[],
): LegendEntry[] {
  const figureOf = (point: Metrics) => formatFigure(metric, point[metric.name]);
  const others = drawn.filter(({ point }) => point !== chosen && point !== beta1);
  const entries: (LegendEntry | null)[] = [
    { symbol: SYMBOLS.chosen, text: `chosen: ${figureOf(chosen)}` },
    beta1 && { symbol: SYMBOLS.ring, text: `beta 1: ${figureOf(beta1)}` },
    uniform && {
      symbol: SYMBOLS.diamond,
      text: `uniform, ${compareSparsity(uniform, chosen.sparsity)}: ${figureOf(uniform)}`,
    },
    dense === null ? null : { symbol: SYMBOLS.level, text: `dense: ${metric.format(dense)}` },
    limit === null ? null : { symbol: SYMBOLS.dashed, text: `limit: ${metric.format(limit)}` },
    others.some(({ off }) => off === 0) ? { symbol: SYMBOLS.measured, text: 'other betas' } : null,
    others.some(({ off }) => off !== 0) ? { symbol: SYMBOLS.beyond, text: 'beyond the axis' } : null,
  ];
  return entries.filter((entry) => entry !== null);
}

function describe({ metric, points, chosen, beta1, uniform, dense, limit }: Curve): string {
  const { title, name } = metric;
  const at = (label: string, point: Metrics & { readonly sparsity: number }) =>
    `${label}: ${formatFigure(metric, point[name])} at sparsity ${formatPercent(point.sparsity)}.`;
  const sentences = [
    `${title} against sparsity of ${points.length} pruned models.`,
    at(chosen.beta === null ? 'Chosen' : `Chosen, beta ${formatBeta(chosen.beta)}`, chosen),
    beta1 && at('Beta 1', beta1),
    uniform && at('Uniform', uniform),
    dense === null ? null : `Dense: ${metric.format(dense)}.`,
    limit === null ? null : `Limit of the target: ${metric.format(limit)}.`,
  ];
  return sentences.filter((sentence) => sentence !== null).join(' ');
}

/** What cannot be seen in its place. */
function noteOf({ metric, points }: Curve, drawn: readonly Placed[]): string | null {
  const missing = points.filter((point) => point[metric.name] === null).map(nameOf);
  const beyond = drawn
    .filter(({ off }) => off !== 0)
    .map(({ point, value }) => `${nameOf(point)}: ${metric.format(value)}`);
  const sentences = [
    missing.length > 0 ? `Not finite, and not drawn: ${missing.join(', ')}.` : null,
    beyond.length > 0 ? `Beyond the axis: ${beyond.join('; ')}.` : null,
  ].filter((sentence) => sentence !== null);
  return sentences.length > 0 ? sentences.join(' ') : null;
}

function nameOf({ beta }: Point): string {
  return beta === null ? 'the chosen model' : `beta ${formatBeta(beta)}`;
}
