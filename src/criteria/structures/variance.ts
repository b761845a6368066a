import { captureSides } from '../captured-sides.ts';
import type { StructureScorer } from '../context.ts';
import { factorsOf } from '../part-statistics.ts';
import { sumOverSites } from '../structure-sums.ts';
import { squaresAlong } from '../weight-chunks.ts';

/** `s = sum var(x_j) W_ij^2` over the weights that read a structure: what varies in it no bias can make up for. */
export const score: StructureScorer<'variance'> = async (families, context) => {
  const layers = await captureSides('variance', 'consumers', ['sum', 'sum_of_squares'], families, context);
  return sumOverSites(
    families,
    layers.sitesOf,
    (tensor, axis) => {
      const factors = factorsOf(layers.statisticsOf(tensor.name), (total, square, count) =>
        count > 0 ? Math.max(0, square / count - (total / count) ** 2) : 0,
      );
      return squaresAlong(tensor, axis, context, factors);
    },
    context,
  );
};
