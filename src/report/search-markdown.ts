import { decisionMarkdown } from './decision-markdown.ts';
import { escapeMarkdown, markdownSection, markdownTable } from './markdown.ts';
import { searchDecision } from './search-decision.ts';
import { frontOf } from './search-front.ts';
import { type SearchFacts, searchTables, searchVerdict } from './search-report.ts';
import { percent } from './wording.ts';

/** A search's report as Markdown: the decision first, as in a job's. What names of a client hold stays text. */
export function renderSearchMarkdown(facts: SearchFacts): string {
  const parts = [
    `# Search ${facts.id}`,
    decisionMarkdown(searchDecision(facts), frontTable(facts)),
    markdownSection('In full', escapeMarkdown(searchVerdict(facts))),
    ...(facts.best ? [`The model and its report are those of job \`${facts.best.job}\`.`] : []),
    ...facts.doubts.map((doubt) => `> ${escapeMarkdown(doubt)}`),
    ...searchTables(facts).map(({ title, head, rows }) => markdownSection(title, markdownTable(head, rows))),
  ];
  return `${parts.join('\n\n')}\n`;
}

/** The front in place of its picture. */
function frontTable(facts: SearchFacts): string | null {
  const front = frontOf(facts);
  return (
    front &&
    markdownTable(
      [front.amount, front.cost, 'Within'],
      front.points.map(({ amount, cost, isWithin, isBest }) => [
        ...[percent(amount), percent(cost)],
        `${isWithin ? 'yes' : 'no'}${isBest ? ' (the best)' : ''}`,
      ]),
    )
  );
}
