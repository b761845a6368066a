import type { Family } from '../../structure/families.ts';
import type { CriterionContext } from '../criterion.ts';
import { squaresAlong } from '../weight-chunks.ts';
import { sumOverSites } from './structure-criterion.ts';

/** `s = ||W||_2` over the rows that compute a structure: a filter, a neuron's input weights, a head's queries, keys and values. Biases do not count. */
export async function l2Norm(
  families: readonly Family[],
  context: CriterionContext,
): Promise<Float64Array[]> {
  const squares = await sumOverSites(
    families,
    ({ producers }) => producers,
    (tensor, axis) => squaresAlong(tensor, axis, context),
    context,
  );
  return squares.map((sums) => sums.map(Math.sqrt));
}
