import { searchDecision } from '../search-decision.ts';
import { type SearchFacts, searchTables, searchVerdict, type TextTable } from '../search-report.ts';
import { firstScreen } from './first-screen.ts';
import { frontChart } from './front-chart.ts';
import { html, type Markup, section, table } from './markup.ts';
import { renderPage } from './page-shell.ts';

/** A search's report as one HTML page that needs nothing else: the decision first, as in a job's. */
export function renderSearchPage(facts: SearchFacts): string {
  const { id, best, doubts, error } = facts;
  const warnings =
    doubts.length > 0
      ? html`<ul class="warnings">${doubts.map((doubt) => html`<li><p>${doubt}</p></li>`)}</ul>`
      : null;
  return renderPage({
    title: `Search report: ${id}`,
    kind: 'Effective Model Pruning search',
    heading: id,
    first: firstScreen({ decision: searchDecision(facts), picture: frontChart(facts), warned: () => null }),
    meta: null,
    main: html`${section('full', 'In full', html`<p class="verdict">${searchVerdict(facts)}</p>${error === null ? null : html`<p>${error}</p>`}${warnings}`)}
${section('best', 'The best', best && html`<p>The model and its report are those of job <code>${best.job}</code>.</p>`)}
${searchTables(facts).map((text, i) => section(`table-${i}`, text.title, tableMarkup(text)))}`,
    footer: null,
  });
}

function tableMarkup({ caption, head, rows, endsInWords }: TextTable): Markup {
  return table({ label: caption, caption, columns: head, rows }, endsInWords ? 'tried words' : 'tried');
}
