import * as Plot from '@observablehq/plot';
import { ERRORS } from '../report/wording.ts';

export interface FrontPoint {
  readonly number: string;
  /** Of the original, as a share. */
  readonly amount: number;
  readonly cost: number;
  /** The standard error of the cost; null where it is not known. */
  readonly error: number | null;
  readonly isWithin: boolean;
  readonly isOnFront: boolean;
  readonly isChosen: boolean;
  readonly title: string;
}

interface Front {
  readonly width: number;
  readonly points: readonly FrontPoint[];
  readonly limit: number;
  /** Whether costs are shares, shown as percent. */
  readonly isShare: boolean;
  readonly xLabel: string;
  readonly yLabel: string;
  /** For those who do not see it. */
  readonly description: string;
  readonly onChoose: (number: string) => void;
}

/** Beyond that many times the limit, costs are drawn at the edge: one bad model must not flatten the others. Bars have twice that. */
const SHOWN_LIMITS = 4;
/** Air around bars. */
const AIR = 1.05;

/** A cost and the two standard errors around it. */
function rangeOf({ cost, error }: FrontPoint): { low: number; high: number } {
  const margin = ERRORS * (error ?? 0);
  return { low: cost - margin, high: cost + margin };
}

function scaleOf(points: readonly FrontPoint[], limit: number): [bottom: number, top: number] {
  const shown = points.filter(({ cost }) => cost <= limit * SHOWN_LIMITS).map(rangeOf);
  const highest = AIR * Math.max(0, ...shown.map(({ high }) => high));
  const top = Math.max(limit * 1.4, Math.min(highest, 2 * limit * SHOWN_LIMITS)) || 1;
  return [Math.max(-top, AIR * Math.min(0, ...shown.map(({ low }) => low))), top];
}

/** The chart, without the style element that the page's policy forbids: the style sheet has what it says. */
export function drawFront(front: Front): SVGSVGElement {
  const { width, points, limit, isShare, description, onChoose } = front;
  const [bottom, top] = scaleOf(points, limit);
  const inScale = (cost: number) => Math.max(bottom, Math.min(top, cost));
  const clipped = points.map((point) => ({ ...point, cost: inScale(point.cost) }));
  const ranges = points.map((point) => {
    const { low, high } = rangeOf(point);
    return { amount: point.amount, low: inScale(low), high: inScale(high) };
  });
  const [within, over] = [
    clipped.filter(({ isWithin }) => isWithin),
    clipped.filter(({ isWithin }) => !isWithin),
  ];
  // At the edge it would say that all of these cost the same.
  const line = points
    .filter(({ isOnFront, cost }) => isOnFront && cost === inScale(cost))
    .sort((a, b) => a.amount - b.amount);
  const place = { x: 'amount', y: 'cost' } as const;
  const svg = Plot.plot({
    className: 'plot',
    width,
    height: Math.round(Math.min(380, Math.max(260, width * 0.5))),
    marginLeft: 52,
    marginRight: 16,
    marginTop: 28,
    marginBottom: 42,
    x: {
      label: `${front.xLabel} →`,
      domain: [0, 100 * Math.max(1.05, ...points.map(({ amount }) => amount))],
      percent: true,
      ticks: 6,
    },
    y: {
      label: `↑ ${front.yLabel}`,
      domain: [bottom, top].map((cost) => (isShare ? 100 * cost : cost)),
      percent: isShare,
      ticks: 6,
      grid: true,
    },
    marks: [
      Plot.ruleY([0], { stroke: 'var(--ink)' }),
      Plot.ruleY([limit], { stroke: 'var(--bad)', strokeWidth: 1.5, strokeDasharray: '6,4' }),
      Plot.line(line, {
        ...place,
        stroke: 'var(--accent)',
        strokeOpacity: 0.5,
        strokeWidth: 2,
        curve: 'step-after',
      }),
      Plot.ruleX(ranges, { x: 'amount', y1: 'low', y2: 'high', stroke: 'var(--muted)', strokeOpacity: 0.6 }),
      Plot.dot([{ amount: 1, cost: 0 }], { ...place, symbol: 'square', r: 6, fill: 'var(--ink)' }),
      Plot.dot(over, {
        ...place,
        symbol: 'times',
        r: 4.5,
        stroke: 'var(--muted)',
        strokeWidth: 2,
        title: 'title',
        className: 'over',
      }),
      Plot.dot(within, {
        ...place,
        r: 6,
        fill: 'var(--accent)',
        stroke: 'var(--paper)',
        title: 'title',
        className: 'within',
      }),
      Plot.dot(
        clipped.filter(({ isChosen }) => isChosen),
        { ...place, r: 10, stroke: 'var(--ink)', strokeWidth: 2 },
      ),
    ],
  }) as SVGSVGElement;
  svg.querySelector('style')?.remove();
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', description);
  for (const group of svg.querySelectorAll('g[aria-label]')) group.removeAttribute('aria-label');
  for (const [name, shown] of [
    ['within', within],
    ['over', over],
  ] as const)
    svg.querySelectorAll(`.${name} > :is(circle, path)`).forEach((mark, i) => {
      mark.addEventListener('click', () => onChoose(shown[i]?.number ?? ''));
    });
  return svg;
}
