import { captureSides } from '../captured-sides.ts';
import type { StructureScorer } from '../context.ts';
import { factorsOf } from '../part-statistics.ts';
import { sumOverSites } from '../structure-sums.ts';
import { squaresAlong } from '../weight-chunks.ts';

/** `s^2 = sum (|W_ij| ||x_j||)^2` over the weights that read a structure: the norm of what it gives, times that of what is made of it. */
export const score: StructureScorer<'wanda'> = async (families, context) => {
  const layers = await captureSides('wanda', 'consumers', ['sum_of_squares'], families, context);
  const squares = await sumOverSites(
    families,
    layers.sitesOf,
    (tensor, axis) =>
      squaresAlong(
        tensor,
        axis,
        context,
        factorsOf(layers.statisticsOf(tensor.name), (sum) => sum),
      ),
    context,
  );
  return squares.map((family) => family.map(Math.sqrt));
};
