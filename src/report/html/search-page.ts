import { PAGE_POLICY } from '../page-policy.ts';
import { type SearchFacts, searchTables, searchVerdict, type TextTable } from '../search-report.ts';
import { html, type Markup, section } from './markup.ts';
import { STYLE } from './style.ts';

/** A search's report as one HTML page that needs nothing else. */
export function renderSearchPage(facts: SearchFacts): string {
  const { id, best, doubts } = facts;
  return html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${PAGE_POLICY}">
<link rel="icon" href="data:,">
<title>Search report: ${id}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<p class="kind">Effective Model Pruning search</p>
<h1>${id}</h1>
<p class="verdict">${searchVerdict(facts)}</p>
</header>
<main>
${section('warnings', 'Warnings', doubts.length > 0 ? html`<ul>${doubts.map((doubt) => html`<li>${doubt}</li>`)}</ul>` : null)}
${section('best', 'The best', best && html`<p>The model and its report are those of job <code>${best.job}</code>.</p>`)}
${searchTables(facts).map((table, i) => section(`table-${i}`, table.title, tableMarkup(table)))}
</main>
</body>
</html>
`.source;
}

function tableMarkup({ title, head, rows, endsInWords }: TextTable): Markup {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${title}"><table class="tried${endsInWords ? ' words' : ''}">
<thead><tr>${head.map((cell) => html`<th scope="col">${cell}</th>`)}</tr></thead>
<tbody>${rows.map(([first, ...others]) => html`<tr><th scope="row">${first}</th>${others.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody>
</table></div>`;
}
