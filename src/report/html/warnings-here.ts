import type { Report } from '../report.ts';
import { type Place, titleOfWarning, warningsAbout } from '../warning-places.ts';
import { html, type Markup } from './markup.ts';

/** Of the same kind; the others are folded. */
const MAX_OPEN = 3;

/** Warnings of one part of the page by kind: a model of many layers may give one for each. Null where there is none. */
export function warningsHere(report: Report, place: Place): Markup | null {
  const warnings = warningsAbout(report, place);
  if (warnings.length === 0) return null;
  const byCode = Map.groupBy(warnings, ({ code }) => code);
  const kinds = [...byCode].map(([code, group]) => {
    const texts = group.map(({ text }) => html`<p>${text}</p>`);
    const folded = texts.slice(MAX_OPEN);
    return html`<li>
<h3>${titleOfWarning(code)}</h3>
${texts.slice(0, MAX_OPEN)}
${folded.length === 0 ? null : html`<details><summary>${folded.length} more</summary>${folded}</details>`}
</li>
`;
  });
  return html`<ul class="warnings">
${kinds}</ul>
`;
}
