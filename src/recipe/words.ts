import {
  CRITERIA,
  CRITERION_NAMES,
  type Criterion,
  type CriterionRow,
  NEEDS,
  type Scoring,
  scoringOf,
} from './criteria.ts';

/** What a score is, of a structure that is called `unit`. */
export function scoreWords({ score }: Scoring, unit: string): string {
  return score.replaceAll('{unit}', unit);
}

/** What a criterion needs beside the model; empty where that is nothing. */
export function needWords({ needs }: Scoring): string {
  const said = needs.filter((need) => need !== 'graph' && !need.startsWith('layer_') && need !== 'gradients');
  const data = said.includes('labels') ? said.filter((need) => need !== 'calibration') : said;
  return data.map((need) => NEEDS[need]).join(', ');
}

/** What the names of rows mean, for those of which there is something to say. */
export function meaningsOf<R>(
  rows: Readonly<Record<string, R>>,
  meaningOf: (row: R) => string | null,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(rows).flatMap(([name, row]) => {
      const meaning = meaningOf(row);
      return meaning === null ? [] : [[name, meaning]];
    }),
  );
}

/** The same as text: `` `name`: what it means; `` and so on. */
export function listMeanings<R>(...args: Parameters<typeof meaningsOf<R>>): string {
  const meanings = Object.entries(meaningsOf(...args));
  return meanings.map(([name, meaning]) => `\`${name}\`: ${meaning}`).join('; ');
}

/** What criteria score such components by, of which one is called `unit`. */
export function scoreMeanings(
  kind: 'weights' | 'structures',
  unit: string,
): Readonly<Record<string, string>> {
  return meaningsOf(CRITERIA, (row) => row[kind] && scoreWords(row[kind], unit));
}

/** The criteria as an API's description tells of them. */
export function criterionMeanings(): string {
  const rows = (kind: 'weights' | 'structures', unit: string) =>
    listMeanings(CRITERIA, (row) => {
      const scoring: Scoring | null = row[kind];
      if (scoring === null) return null;
      const needs = needWords(scoring);
      return scoreWords(scoring, unit) + (needs && ` (needs ${needs})`);
    });
  return `The importance score. Of a weight: ${rows('weights', 'weight')}. Of a structure: ${rows('structures', 'structure')}. L is the mean loss over the calibration data, Lₙ that of one sample; \`random\` is drawn by \`seed\`, and what the others have to be better than.`;
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
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${' --- |'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}
