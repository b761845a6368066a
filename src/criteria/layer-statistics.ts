import type { ModelTensor } from '../formats/model.ts';
import { readStoredGraph } from '../graph/interface.ts';
import { findLayerSites } from '../graph/onnx-inventory.ts';
import type { OnnxModel } from '../graph/onnx-model.ts';
import type { Reduction } from '../graph/passes/append-sums.ts';
import type { LayerActivations } from '../graph/weights/layer-sites.ts';
import type { Criterion } from '../recipe/criteria.ts';
import { type CaptureRequest, captureSums } from '../runtime/capture.ts';
import { checkCapturable, type Side } from './capturable.ts';
import { type CriterionContext, samplesOf } from './context.ts';
import type { PartStatistics } from './part-statistics.ts';
import { fillUnreached } from './unreached.ts';

/**
 * Runs the calibration samples and sums what the layers of all `tensors` get or give, each over all places that share it. Figures are the sum, and of how many numbers it is.
 * @throws EmpError what `checkCapturable` and `captureSums` throw
 */
export async function captureLayers(
  criterion: Criterion,
  side: Side,
  reduction: Reduction,
  tensors: readonly ModelTensor[],
  context: CriterionContext,
): Promise<PartStatistics[][]> {
  const model = await readStoredGraph(context.model);
  const layers = checkCapturable(criterion, side, findLayerSites(model), tensors);
  return await captureParts(
    model,
    layers.map((parts, index) => ({ parts, tensor: tensors[index].name })),
    [reduction],
    side,
    context,
  );
}

/** Sums over what layers get or give, part by part; what no sample reaches is told to the context. Figures are the sum of each of the reductions, then of how many numbers they are. */
export async function captureParts(
  model: OnnxModel,
  layers: readonly { readonly parts: LayerActivations; readonly tensor: string }[],
  reductions: readonly Reduction[],
  side: Side,
  context: CriterionContext,
): Promise<PartStatistics[][]> {
  const requests = layers.flatMap(({ parts, tensor }) =>
    parts.flatMap(({ values }) =>
      values.flatMap((activations) =>
        reductions.map((reduction): CaptureRequest => ({ activations, reduction, tensor, side })),
      ),
    ),
  );
  const captured = await captureSums(model, requests, { ...context, samples: samplesOf(context) });
  let taken = 0;
  const statistics = layers.map(({ parts }) =>
    parts.map(({ values, features }) => {
      const n = values.length * reductions.length;
      const places = captured.slice(taken, taken + n);
      taken += n;
      const of = (index: number) => places.filter((_, place) => place % reductions.length === index);
      const sums = reductions.map((_, index) => addUp(of(index).map((place) => place.sums)));
      return { features, figures: [...sums, addUp(of(0).map(({ counts }) => counts))] };
    }),
  );
  for (const [index, share] of fillUnreached(statistics).entries())
    if (share > 0) context.onUnreached(layers[index].tensor, share);
  return statistics;
}

function addUp([first, ...others]: readonly Float64Array[]): Float64Array {
  const sums = first.slice();
  for (const other of others) for (let i = 0; i < sums.length; i++) sums[i] += other[i];
  return sums;
}
