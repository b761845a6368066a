import type { Reduction } from '../graph/passes/append-sums.ts';
import type { StructureCriterion } from '../recipe/criteria.ts';
import { captureSums, type FeatureSums } from '../runtime/capture.ts';
import type { Family } from '../structure/families.ts';
import { type CriterionContext, samplesOf } from './context.ts';
import { type LayerSide, layersOf } from './layer-sides.ts';
import { addUp } from './layer-statistics.ts';

/** The layers that compute structures, or that read them, with sums over what comes out of them or goes in. */
export interface CapturedSide extends Pick<LayerSide, 'sitesOf' | 'features'> {
  /** Of a weight of these layers, by reduction. */
  sums(weight: string): readonly FeatureSums[];
}

/**
 * Runs the calibration samples and sums what goes into the layers or comes out of them, over all places that share a weight.
 * @throws EmpError what `layersOf` and `captureSums` throw
 */
export async function captureSides(
  criterion: StructureCriterion,
  role: 'producers' | 'consumers',
  reductions: readonly Reduction[],
  families: readonly Family[],
  context: CriterionContext,
): Promise<CapturedSide> {
  const layers = await layersOf(criterion, role, families, context);
  const { model, side, weights, places } = layers;
  const requests = reductions.flatMap((reduction) =>
    weights.flatMap((tensor) =>
      places(tensor).map((activations) => ({ activations, reduction, tensor, side })),
    ),
  );
  const captured = await captureSums(model, requests, { ...context, samples: samplesOf(context) });
  const sums = new Map<string, FeatureSums[]>(weights.map((tensor) => [tensor, []]));
  let taken = 0;
  for (const [tensor, found] of reductions.flatMap(() => [...sums])) {
    const parts = captured.slice(taken, taken + places(tensor).length);
    taken += parts.length;
    found.push(addUp(parts));
  }
  return { ...layers, sums: (weight) => sums.get(weight) ?? reductions.map(() => NOTHING) };
}

const NOTHING: FeatureSums = { sums: new Float64Array(), count: 0 };
