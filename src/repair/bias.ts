import type { ModelInventory } from '../formats/model.ts';
import { readStoredGraph } from '../graph/interface.ts';
import type { OnnxModel } from '../graph/onnx-model.ts';
import { findLayers } from '../graph/weights/weight-layers.ts';
import type { Activations } from '../graph/weights/weight-sites.ts';
import {
  type CaptureContext,
  type CaptureRequest,
  captureSums,
  type FeatureSums,
} from '../runtime/capture.ts';
import { findBiases, type LayerBias } from './layer-biases.ts';
import type { LeftOut, RepairContext, RepairPlan, RepairWork } from './repair-context.ts';
import { nodesOfPlaces, repairOrder } from './repair-order.ts';
import type { TensorEdits } from './tensor-edits.ts';

/**
 * Adds to the bias of every pruned layer that has one of its own what the mean of its output, per unit over all samples and positions, has lost: the dense layer's mean less the pruned
 * one's, which is measured with the layers before it already repaired. One pass over the samples with the dense model, and one for each layer on the longest way through the pruned one.
 * @throws EmpError as `captureSums`
 */
export async function repairBiases(context: RepairContext, edits: TensorEdits): Promise<RepairWork> {
  const { dense, pruned, keptUnits } = context;
  const denseModel = await readStoredGraph(dense);
  const model = await readStoredGraph(pruned);
  const weights = [...keptUnits.keys()];
  const { found, leftOut } = findBiases(model, pruned.inventory, weights);
  const layers = findLayers(denseModel, weights);
  const outputsOf = ({ places }: LayerBias) =>
    places
      .map(({ weight, site }) => layers.get(weight)?.sites[site]?.result)
      .filter((output) => typeof output === 'object');
  // Of a weight that is used in parts the units of one part alone are not known.
  const isTold = ({ places: [{ weight, output }] }: LayerBias) =>
    (keptUnits.get(weight)?.length ?? output.size) === output.size;
  const comparable = found.filter((bias) => outputsOf(bias).length === bias.places.length && isTold(bias));
  const targets = await measure(denseModel, comparable, outputsOf, { ...context, model: dense });
  const unreached: LeftOut[] = [];
  for (const biases of repairOrder(model.graph, comparable, nodesOfPlaces)) {
    const outputs = ({ places }: LayerBias) => places.map(({ output }) => output);
    const means = await measure(model, biases, outputs, { ...context, model: pruned });
    for (const { tensor, factor, places } of biases) {
      const kept = keptUnits.get(places[0].weight) ?? null;
      const [target, mean] = [targets.get(tensor) ?? null, means.get(tensor) ?? null];
      if (target === null || mean === null) {
        unreached.push({ name: tensor, reason: 'is of a layer that no sample reaches' });
        continue;
      }
      const bias = await edits.read(tensor);
      const lost = (unit: number) => target[kept?.[unit] ?? unit] - mean[unit];
      const repaired = bias.map((value, unit) => value + lost(unit) / factor);
      await edits.write(tensor, repaired);
    }
  }
  return {
    nRepaired: comparable.length - unreached.length,
    leftOut: [...leftOut, ...incomparable(found, comparable), ...unreached],
  };
}

export function planBiases(
  model: OnnxModel,
  inventory: ModelInventory,
  weights: readonly string[],
): RepairPlan {
  const { found, leftOut } = findBiases(model, inventory, weights);
  const nPasses = 1 + repairOrder(model.graph, found, nodesOfPlaces).length;
  return { nRepaired: found.length, leftOut, nPasses };
}

/** The mean outputs of the layers that have each bias, per unit, by the bias; null for layers that no sample reaches. */
async function measure(
  model: OnnxModel,
  biases: readonly LayerBias[],
  outputsOf: (bias: LayerBias) => readonly Activations[],
  context: CaptureContext,
): Promise<Map<string, Float64Array | null>> {
  const requests = biases.flatMap((bias) =>
    outputsOf(bias).map((activations): CaptureRequest => {
      return { activations, reduction: 'sum', tensor: bias.tensor, side: 'output' };
    }),
  );
  const sums = await captureSums(model, requests, context);
  let taken = 0;
  return new Map(
    biases.map(({ tensor, places }) => {
      const own = sums.slice(taken, taken + places.length);
      taken += places.length;
      return [tensor, meanOf(own)];
    }),
  );
}

function meanOf(sums: readonly FeatureSums[]): Float64Array | null {
  const total = (of: (part: FeatureSums) => number) => sums.reduce((sum, part) => sum + of(part), 0);
  if (total(({ counts }) => counts[0]) === 0) return null;
  return sums[0].sums.map((_, unit) => total((part) => part.sums[unit]) / total((part) => part.counts[unit]));
}

function incomparable(found: readonly LayerBias[], compared: readonly LayerBias[]): LeftOut[] {
  const reason = 'has no counterpart in the dense model';
  const known = new Set(compared);
  return found.filter((bias) => !known.has(bias)).map(({ tensor }) => ({ name: tensor, reason }));
}
