import { type SearchFacts, searchTables, searchVerdict, type TextTable } from '../search-report.ts';
import { html, type Markup, section } from './markup.ts';
import { renderPage } from './page-shell.ts';

/** A search's report as one HTML page that needs nothing else. */
export function renderSearchPage(facts: SearchFacts): string {
  const { id, best, doubts } = facts;
  return renderPage({
    title: `Search report: ${id}`,
    kind: 'Effective Model Pruning search',
    heading: id,
    verdict: searchVerdict(facts),
    meta: null,
    main: html`${section('warnings', 'Warnings', doubts.length > 0 ? html`<ul>${doubts.map((doubt) => html`<li>${doubt}</li>`)}</ul>` : null)}
${section('best', 'The best', best && html`<p>The model and its report are those of job <code>${best.job}</code>.</p>`)}
${searchTables(facts).map((table, i) => section(`table-${i}`, table.title, tableMarkup(table)))}`,
    footer: null,
  });
}

function tableMarkup({ title, head, rows, endsInWords }: TextTable): Markup {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${title}"><table class="tried${endsInWords ? ' words' : ''}">
<thead><tr>${head.map((cell) => html`<th scope="col">${cell}</th>`)}</tr></thead>
<tbody>${rows.map(([first, ...others]) => html`<tr><th scope="row">${first}</th>${others.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody>
</table></div>`;
}
