import { SIGNS } from '../decision-markdown.ts';
import type { Decision, DecisionFigure } from '../decision-schema.ts';
import { STATUSES } from '../decision-statuses.ts';
import { type Content, html, type Markup } from './markup.ts';

/** A decision as the page's first screen has it. */
interface FirstScreen {
  readonly decision: Decision;
  /** Of the front or the sweep; null where there is none. */
  readonly picture: Content;
  /** What warns of a figure, and the id of where that stands; null where nothing does. */
  readonly warned: (figure: DecisionFigure) => { readonly title: string; readonly place: string } | null;
}

/** Badge, sentence, five figures, the picture, what to do next. */
export function firstScreen({ decision, picture, warned }: FirstScreen): Markup {
  const { status, badge, sentence, figures, next } = decision;
  const { tone } = STATUSES[status];
  return html`<div class="decision ${tone}${status === 'unsafe' ? ' void' : ''}">
<p class="badge"><span aria-hidden="true">${SIGNS[tone]}</span> ${badge}</p>
<p class="sentence">${unbroken(sentence)}</p>
${
  figures.length === 0
    ? null
    : html`<dl class="figures">
${figures.map((figure) => figureItem(figure, warned(figure)))}</dl>
${
  figures.some(({ interval }) => interval.startsWith('±'))
    ? html`<p><small>± is two standard errors.</small></p>
`
    : null
}`
}<div class="${picture === null ? 'beside alone' : 'beside'}">
${picture}${next.length === 0 ? null : nextList(next)}</div>
</div>
`;
}

function figureItem(
  { title, text, interval, before, is_difference }: DecisionFigure,
  warned: ReturnType<FirstScreen['warned']>,
): Markup {
  const link = warned === null ? null : html`<a href="#${warned.place}">${warned.title}</a>`;
  return html`<div${is_difference === true ? null : html` class="same"`}><dt>${title}</dt><dd><strong>${unbroken(text)}</strong> <span>${unbroken(interval)}</span> <span>${unbroken(before)}</span> ${link}</dd></div>
`;
}

function nextList(next: Decision['next']): Markup {
  const steps = next.map(
    ({
      text,
      recipe,
      request,
    }) => html`<li>${text}${recipe === null ? null : html` <code>${JSON.stringify(recipe)}</code>`}${request === null ? null : html` <code>${request}</code>`}</li>
`,
  );
  return html`<div class="next">
<h2 id="next">What to do next</h2>
<ol>
${steps}</ol>
</div>
`;
}

/** Numbers stay on one line with their units. */
const unbroken = (text: string): string =>
  text.replace(/(?<=\d) (?=(?:%|×|ms|bytes|[kMGT]B|points)(?![a-z]))|(?<=±) /g, '\u00a0');
