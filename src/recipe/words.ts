import { CRITERIA, NEEDS, type Scoring } from './criteria.ts';

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
