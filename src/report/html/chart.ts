import * as Plot from '@observablehq/plot';
import { DOMParser } from 'linkedom';
import { type Content, html, Markup } from './markup.ts';

/** Charts are drawn as wide as a phone's window and scaled up from there, so that their text is legible on both. */
export const CHART_WIDTH = 360;
export const FONT_SIZE = 12;

/** Colours by role; the style sheet says what they are in light and in dark. */
export const INK = 'var(--ink)';
export const MUTED = 'var(--muted)';
export const PAPER = 'var(--paper)';
export const KEPT = 'var(--kept)';
export const REMOVED = 'var(--removed)';

/** Not an HTML document: linkedom leaves `&` in the attributes of one as it is. */
const svgDocument = new DOMParser().parseFromString(
  '<svg xmlns="http://www.w3.org/2000/svg"/>',
  'image/svg+xml',
);

/** @param description what the chart shows, with its numbers, for those who do not see it */
export function drawChart(description: string, options: Plot.PlotOptions): Markup {
  const svg = Plot.plot({
    document: svgDocument,
    width: CHART_WIDTH,
    className: 'chart',
    ariaLabel: description,
    style: { fontSize: `${FONT_SIZE}px` },
    ...options,
  });
  svg.setAttribute('role', 'img');
  svg.querySelector('style')?.remove();
  return new Markup(svg.outerHTML);
}

/** Text with a rim in the colour of the page, legible on top of lines. */
export const RIMMED = { fill: INK, stroke: PAPER, strokeWidth: 4 };

/** A percentage for the ticks of an axis. */
export function formatTick(share: number): string {
  return `${Number((100 * share).toFixed(2))}%`;
}

/** One line below a chart that says what a mark means. */
export interface LegendEntry {
  readonly symbol: Markup;
  readonly text: Content;
}

interface Figure {
  readonly title: string;
  readonly chart: Markup;
  readonly legend?: readonly LegendEntry[];
  readonly note?: Content;
}

export function chartFigure({ title, chart, legend = [], note = null }: Figure): Markup {
  const entries = legend.map(({ symbol, text }) => html`<li>${symbol}<span>${text}</span></li>`);
  return html`<figure>
<figcaption>${title}</figcaption>
${chart}
${entries.length > 0 ? html`<ul class="legend">${entries}</ul>` : null}
${note === null ? null : html`<p class="note">${note}</p>`}
</figure>
`;
}

function symbol(shape: Markup): Markup {
  return html`<svg class="symbol" viewBox="0 0 20 12" aria-hidden="true">${shape}</svg>`;
}

export const SYMBOLS = {
  kept: symbol(html`<rect x="2" width="16" height="12" fill="var(--kept)"/>`),
  removed: symbol(html`<rect x="2" width="16" height="12" fill="var(--removed)"/>`),
  line: symbol(html`<path d="M0 6H20" stroke="var(--kept)" stroke-width="2.5"/>`),
  level: symbol(html`<path d="M0 6H20" stroke="var(--ink)" stroke-width="1.5"/>`),
  dashed: symbol(html`<path d="M0 6H20" stroke="var(--ink)" stroke-width="1.5" stroke-dasharray="5 3"/>`),
  tick: symbol(html`<path d="M10 0V12" stroke="var(--ink)" stroke-width="1.5"/>`),
  dotted: symbol(html`<path d="M0 6H20" stroke="var(--muted)" stroke-width="1.5" stroke-dasharray="2 3"/>`),
  chosen: symbol(html`<circle cx="10" cy="6" r="5" fill="var(--kept)"/>`),
  measured: symbol(html`<circle cx="10" cy="6" r="3" fill="var(--muted)"/>`),
  beyond: symbol(html`<path d="M10 1.5l4.5 8h-9z" fill="var(--muted)"/>`),
  ring: symbol(
    html`<circle cx="10" cy="6" r="4.5" fill="var(--paper)" stroke="var(--kept)" stroke-width="2"/>`,
  ),
  diamond: symbol(
    html`<path d="M10 0l4 6l-4 6l-4 -6z" fill="var(--paper)" stroke="var(--ink)" stroke-width="1.5"/>`,
  ),
  triangle: symbol(html`<path d="M10 1l5.5 9.5h-11z" fill="var(--ink)"/>`),
  hollowTriangle: symbol(
    html`<path d="M10 1l5.5 9.5h-11z" fill="var(--paper)" stroke="var(--ink)" stroke-width="1.5"/>`,
  ),
};
