// npm run vocabulary: writes the tables of criteria and repairs into the README, which test/gates/documents.test.ts holds against the rows.
import { readFile, writeFile } from 'node:fs/promises';
import { REPAIRS } from '../src/recipe/terms.ts';
import { criterionTable, markdownTable } from '../src/recipe/words.ts';

const README = new URL('../README.md', import.meta.url);

/** By the name in the marks around each. */
const TABLES = {
  'criteria of structures': criterionTable('structures'),
  'criteria of weights': criterionTable('weights'),
  repairs: markdownTable(
    ['repair', 'what it does', 'beside that'],
    Object.entries(REPAIRS).map(([name, { meaning, advice }]) => [`\`${name}\``, meaning, advice]),
  ),
};

/** The README with its tables as the rows have them. */
export async function renderReadme(): Promise<string> {
  let text = await readFile(README, 'utf8');
  for (const [name, table] of Object.entries(TABLES)) {
    const [start, end] = [`<!-- ${name}, written by npm run vocabulary -->\n`, '\n<!-- end -->'];
    const from = text.indexOf(start);
    const to = text.indexOf(end, from);
    if (from < 0 || to < 0) throw new Error(`README.md has no place for the table of ${name}`);
    text = text.slice(0, from + start.length) + table + text.slice(to);
  }
  return text;
}

if (import.meta.main) await writeFile(README, await renderReadme());
