import * as Plot from '@observablehq/plot';
import { DOMParser } from 'linkedom';
import { formatPowerOfTen } from '../wording.ts';
import { type Content, html, Markup } from './markup.ts';

/** Charts are drawn as wide as a phone's window and scaled up from there, so that their text is legible on both. */
export const CHART_WIDTH = 360;
const FONT_SIZE = 12;

/** Colours by role; the style sheet says what they are in light and in dark. */
export const INK = 'var(--ink)';
export const MUTED = 'var(--muted)';
export const PAPER = 'var(--paper)';
export const KEPT = 'var(--kept)';
export const REMOVED = 'var(--removed)';

const GRAPHEMES = new Intl.Segmenter('en');

/** Not an HTML document: linkedom leaves `&` in the attributes of one as it is. */
const svgDocument = new DOMParser().parseFromString(
  '<svg xmlns="http://www.w3.org/2000/svg"/>',
  'image/svg+xml',
);

/** @param description what the chart shows, with its numbers, for those who do not see it */
export function drawChart(description: string, options: Plot.PlotOptions): Markup {
  const svg = Plot.plot({
    // Two libraries' types of one thing.
    document: svgDocument as object as NonNullable<Plot.PlotOptions['document']>,
    width: CHART_WIDTH,
    className: 'chart',
    ariaLabel: description,
    style: { fontSize: `${FONT_SIZE}px` },
    ...options,
  });
  svg.setAttribute('role', 'img');
  svg.querySelector('style')?.remove();
  // Plot names kinds of marks on groups, which have no role to be named: the description says what they are.
  for (const group of svg.querySelectorAll('g[aria-label]')) group.removeAttribute('aria-label');
  return new Markup(svg.outerHTML);
}

/** Text with a rim in the colour of the page, legible on top of lines. */
export const RIMMED = { fill: INK, stroke: PAPER, strokeWidth: 4 };

/** For the names of landmarks, where there is nothing else. */
export const ABOVE_FRAME = { frameAnchor: 'top', lineAnchor: 'bottom', ...RIMMED } as const;

type Domain = readonly [from: number, to: number];

/** More ticks than this do not fit beside each other. */
const MAX_TICKS = 6;

/** A horizontal axis whose ticks are powers of ten. */
export function logAxis(domain: Domain): Plot.ScaleOptions {
  return { type: 'log', domain, ticks: logTicks(domain), tickFormat: formatLogTick };
}

/** Powers of ten, all or every so many; below two of them also their doubles and halves. */
function logTicks([from, to]: Domain): number[] {
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

/** One line below a chart that says what a mark means. */
export type LegendEntry = readonly [symbol: keyof typeof SYMBOLS, text: string];

interface Figure {
  readonly title: string;
  readonly chart: Content;
  readonly legend: readonly LegendEntry[];
  readonly note: string | null;
}

export function chartFigure({ title, chart, legend, note }: Figure): Markup {
  const entries = legend.map(
    ([symbol, text]) =>
      html`<li><svg class="symbol" viewBox="0 0 20 12" aria-hidden="true">${SYMBOLS[symbol]}</svg><span>${text}</span></li>`,
  );
  return html`<figure>
<figcaption>${title}</figcaption>
${chart}
<ul class="legend">${entries}</ul>
${note === null ? null : html`<p class="note">${note}</p>`}
</figure>
`;
}

const SYMBOLS = {
  kept: html`<rect x="2" width="16" height="12" fill="var(--kept)"/>`,
  removed: html`<rect x="2" width="16" height="12" fill="var(--removed)"/>`,
  line: html`<path d="M0 6H20" stroke="var(--kept)" stroke-width="2.5"/>`,
  level: html`<path d="M0 6H20" stroke="var(--ink)" stroke-width="1.5"/>`,
  dashed: html`<path d="M0 6H20" stroke="var(--ink)" stroke-width="1.5" stroke-dasharray="5 3"/>`,
  tick: html`<path d="M10 0V12" stroke="var(--ink)" stroke-width="1.5"/>`,
  dotted: html`<path d="M0 6H20" stroke="var(--muted)" stroke-width="1.5" stroke-dasharray="2 3"/>`,
  chosen: html`<circle cx="10" cy="6" r="5" fill="var(--kept)"/>`,
  measured: html`<circle cx="10" cy="6" r="3" fill="var(--muted)"/>`,
  beyond: html`<path d="M10 1.5l4.5 8h-9z" fill="var(--muted)"/>`,
  ring: html`<circle cx="10" cy="6" r="4.5" fill="var(--paper)" stroke="var(--kept)" stroke-width="2"/>`,
  diamond: html`<path d="M10 0l4 6l-4 6l-4 -6z" fill="var(--paper)" stroke="var(--ink)" stroke-width="1.5"/>`,
  triangle: html`<path d="M10 1l5.5 9.5h-11z" fill="var(--ink)"/>`,
  hollowTriangle: html`<path d="M10 1l5.5 9.5h-11z" fill="var(--paper)" stroke="var(--ink)" stroke-width="1.5"/>`,
};

/** A name for charts, where characters that would break or turn a line cannot be had: they are made visible. */
export function visibleName(name: string): string {
  return name.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, '�');
}

/** The name in at most `columns` columns of text, its middle left out. */
export function shortenName(name: string, columns: number): string {
  const parts = graphemesOf(name);
  const widths = parts.map(columnsOf);
  if (sum(widths) <= columns) return parts.join('');
  let [start, end] = [0, parts.length];
  for (let room = columns - 1; ; ) {
    const fromStart = start <= parts.length - end;
    const next = fromStart ? start : end - 1;
    room -= widths[next];
    if (room < 0) return `${parts.slice(0, start).join('')}…${parts.slice(end).join('')}`;
    if (fromStart) start++;
    else end--;
  }
}

/** How many columns a name takes. */
export function columnsOfText(name: string): number {
  return sum(graphemesOf(name).map(columnsOf));
}

function graphemesOf(name: string): string[] {
  return Array.from(GRAPHEMES.segment(visibleName(name)), ({ segment }) => segment);
}

/** East Asian characters and emoji are about two columns wide. */
function columnsOf(grapheme: string): number {
  return (grapheme.codePointAt(0) ?? 0) >= 0x2e80 ? 2 : 1;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
