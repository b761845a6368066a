import type { ModelTensor } from '../formats/model.ts';
import { readStoredGraph } from '../graph/interface.ts';
import { findLayerSites } from '../graph/onnx-inventory.ts';
import type { Reduction } from '../graph/passes/append-sums.ts';
import type { LayerActivations } from '../graph/weights/layer-sites.ts';
import type { Criterion } from '../recipe/criteria.ts';
import { captureSums, type FeatureSums } from '../runtime/capture.ts';
import { checkCapturable, type Side } from './capturable.ts';
import { type CriterionContext, samplesOf } from './context.ts';

/** Sums over the activations on one side of a layer, per feature, and the feature of each of the weight's elements. */
export interface LayerStatistics extends FeatureSums {
  readonly features: LayerActivations['features'];
}

/**
 * Runs the calibration samples and sums what the layers of all `tensors` get or give, each over all places that share it.
 * @throws EmpError what `checkCapturable` and `captureSums` throw
 */
export async function captureLayers(
  criterion: Criterion,
  side: Side,
  reduction: Reduction,
  tensors: readonly ModelTensor[],
  context: CriterionContext,
): Promise<LayerStatistics[]> {
  const model = await readStoredGraph(context.model);
  const layers = checkCapturable(criterion, side, findLayerSites(model), tensors);
  const requests = layers.flatMap(({ values }, index) =>
    values.map((activations) => ({ activations, reduction, tensor: tensors[index].name, side })),
  );
  const sums = await captureSums(model, requests, { ...context, samples: samplesOf(context) });
  let taken = 0;
  return layers.map(({ values, features }) => {
    const places = sums.slice(taken, taken + values.length);
    taken += values.length;
    return { features, ...addUp(places) };
  });
}

/** Of all places that share a weight. */
export function addUp(places: readonly FeatureSums[]): FeatureSums {
  if (places.length === 1) return places[0];
  const sums = new Float64Array(places[0].sums.length);
  for (const place of places) for (let i = 0; i < sums.length; i++) sums[i] += place.sums[i];
  return { sums, count: places.reduce((total, { count }) => total + count, 0) };
}
