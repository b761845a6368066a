import { RandomWords } from '../../core/random-words.ts';
import type { StructureScorer } from '../context.ts';

/** Scores drawn evenly from `(0, 1]`, one after the other: what every other criterion has to be better than. */
export const score: StructureScorer<'random'> = async (families, { seed }) => {
  const words = new RandomWords(seed);
  return families.map(({ structures }) => Float64Array.from(structures, () => words.nextShare()));
};
