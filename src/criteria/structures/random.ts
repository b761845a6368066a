import { RandomWords } from '../../core/random-words.ts';
import type { Family } from '../../structure/families.ts';
import type { CriterionContext } from '../criterion.ts';

/** Scores drawn evenly from `(0, 1]`, one after the other: what every other criterion has to be better than. */
export async function randomStructures(
  families: readonly Family[],
  { seed }: CriterionContext,
): Promise<Float64Array[]> {
  const words = new RandomWords(seed);
  return families.map(({ structures }) => Float64Array.from(structures, () => words.nextShare()));
}
