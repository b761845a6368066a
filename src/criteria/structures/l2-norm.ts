import type { StructureScorer } from '../context.ts';
import { sumOverSites } from '../structure-sums.ts';
import { squaresAlong } from '../weight-chunks.ts';

/** `s = ||W||_2` over the rows that compute a structure: a filter, a neuron's input weights, a head's queries, keys and values. Biases do not count. */
export const score: StructureScorer<'l2_norm'> = async (families, context) => {
  const squares = await sumOverSites(
    families,
    ({ producers }) => producers,
    (tensor, axis) => squaresAlong(tensor, axis, context),
    context,
  );
  return squares.map((sums) => sums.map(Math.sqrt));
};
