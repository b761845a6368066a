import type { Reduction } from '../graph/passes/append-sums.ts';
import type { StructureCriterion } from '../recipe/criteria.ts';
import type { Family } from '../structure/families.ts';
import type { CriterionContext } from './context.ts';
import { type LayerSide, layersOf } from './layer-sides.ts';
import { captureParts } from './layer-statistics.ts';
import type { PartStatistics } from './part-statistics.ts';

/** The layers that compute structures, or that read them, with sums over what comes out of them or goes in. */
export interface CapturedSide extends Pick<LayerSide, 'sitesOf'> {
  /** Of a weight of these layers, part by part. */
  statisticsOf(weight: string): readonly PartStatistics[];
}

/**
 * Runs the calibration samples and sums what goes into the layers or comes out of them, over all places that share a weight. Figures are as of `captureParts`.
 * @throws EmpError what `layersOf` and `captureSums` throw
 */
export async function captureSides(
  criterion: StructureCriterion,
  role: 'producers' | 'consumers',
  reductions: readonly Reduction[],
  families: readonly Family[],
  context: CriterionContext,
): Promise<CapturedSide> {
  const { model, side, weights, partsOf, sitesOf } = await layersOf(criterion, role, families, context);
  const layers = weights.map((tensor) => ({ parts: partsOf(tensor), tensor }));
  const statistics = await captureParts(model, layers, reductions, side, context);
  const byWeight = new Map(weights.map((weight, index) => [weight, statistics[index]]));
  return { sitesOf, statisticsOf: (weight) => byWeight.get(weight) ?? [] };
}
