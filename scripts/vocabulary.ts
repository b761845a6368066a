// npm run vocabulary: writes the tables of criteria and repairs into docs/reference.md, which test/gates/documents.test.ts holds against the rows.
import { readFile, writeFile } from 'node:fs/promises';
import {
  CRITERIA,
  CRITERION_NAMES,
  type Criterion,
  type CriterionRow,
  scoringOf,
} from '../src/recipe/criteria.ts';
import { REPAIRS } from '../src/recipe/terms.ts';
import { needWords, scoreWords } from '../src/recipe/words.ts';

const REFERENCE = new URL('../docs/reference.md', import.meta.url);

/** By the name in the marks around each. */
const TABLES = {
  'criteria of structures': criterionTable('structures'),
  'criteria of weights': criterionTable('weights'),
  repairs: markdownTable(
    ['repair', 'what it does', 'beside that'],
    Object.entries(REPAIRS).map(([name, { meaning, advice }]) => [`\`${name}\``, meaning, advice]),
  ),
};

/** The reference with its tables as the rows have them. */
export async function renderReference(): Promise<string> {
  let text = await readFile(REFERENCE, 'utf8');
  for (const [name, table] of Object.entries(TABLES)) {
    const [start, end] = [`<!-- ${name}, written by npm run vocabulary -->\n`, '\n<!-- end -->'];
    const from = text.indexOf(start);
    const to = text.indexOf(end, from);
    if (from < 0 || to < 0) throw new Error(`docs/reference.md has no place for the table of ${name}`);
    text = text.slice(0, from + start.length) + table + text.slice(to);
  }
  return text;
}

/** A Markdown table of the criteria that score such components: name, score, formula, needs, source. */
export function criterionTable(kind: 'weights' | 'structures'): string {
  const unit = kind === 'weights' ? 'weight' : 'structure';
  const rows = CRITERION_NAMES.flatMap((name: Criterion) => {
    const scoring = scoringOf(name, kind);
    if (scoring === null) return [];
    const { source = '' }: CriterionRow = CRITERIA[name];
    return [[`\`${name}\``, scoreWords(scoring, unit), scoring.formula, needWords(scoring), source]];
  });
  return markdownTable(['criterion', `importance score of a ${unit}`, 'formula', 'needs', 'source'], rows);
}

/** Cells in which a bar stands are escaped. */
function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${' --- |'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

if (import.meta.main) await writeFile(REFERENCE, await renderReference());
