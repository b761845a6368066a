import type { Report } from '../report.ts';
import { html, type Markup } from './markup.ts';

/** Of the same kind; the others are folded. */
const MAX_OPEN = 3;

/** Warnings by kind: a model of many layers may give one for each. */
export function warningList(warnings: Report['verdict']['warnings']): Markup | null {
  if (warnings.length === 0) return null;
  const byCode = Map.groupBy(warnings, ({ code }) => code);
  const kinds = [...byCode].map(([code, group]) => {
    const texts = group.map(({ text }) => html`<p>${text}</p>`);
    const folded = texts.slice(MAX_OPEN);
    return html`<li>
<h3>${titleOf(code)}</h3>
${texts.slice(0, MAX_OPEN)}
${folded.length === 0 ? null : html`<details><summary>${folded.length} more</summary>${folded}</details>`}
</li>
`;
  });
  return html`<section aria-labelledby="warnings">
<h2 id="warnings">Warnings</h2>
<ul class="warnings">
${kinds}</ul>
</section>
`;
}

/** `low_density` is Low density. */
function titleOf(code: string): string {
  const words = code.replaceAll('_', ' ').replace(/\bemp\b/g, 'EMP');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
