import { type SearchFacts, searchTables, searchVerdict, type TextTable } from './search-report.ts';

/** A search's report as Markdown. What names of a client hold stays text. */
export function renderSearchMarkdown(facts: SearchFacts): string {
  const parts = [
    `# Search ${facts.id}`,
    escaped(searchVerdict(facts)),
    ...(facts.best ? [`The model and its report are those of job \`${facts.best.job}\`.`] : []),
    ...facts.doubts.map((doubt) => `> ${escaped(doubt)}`),
    ...searchTables(facts).map(tableText),
  ];
  return `${parts.join('\n\n')}\n`;
}

function tableText({ title, head, rows }: TextTable): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escaped).join(' | ')} |`;
  return [`## ${title}`, '', line(head), `|${' --- |'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

function escaped(text: string): string {
  return text.replace(/[\\`*_<>[\]|#]/g, (character) => `\\${character}`).replace(/\s+/g, ' ');
}
