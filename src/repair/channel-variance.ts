import type { ModelInventory } from '../formats/model.ts';
import { readStoredGraph } from '../graph/interface.ts';
import type { OnnxModel } from '../graph/onnx-model.ts';
import { type FittableLayer, findFittableLayers, fromMatrix, toMatrix } from './fittable-layers.ts';
import { findBiases, type LayerBias } from './layer-biases.ts';
import { compareBiases, type Moments, measureOutputs, ownOutputs } from './output-moments.ts';
import type { Findings, LeftOut, RepairContext, RepairPlan, RepairWork } from './repair-context.ts';
import { nodesOfPlaces, repairOrder } from './repair-order.ts';
import type { TensorEdits } from './tensor-edits.ts';

/** A unit's weights are scaled by no more than this, and by no less than its inverse. */
const MAX_SCALE = 4;
/** Relative to the dense deviation: a unit that hardly varies any more is not blown up. */
const LEAST_DEVIATION = 1e-6;

/** A bias, and the layers that it alone is added in. */
interface ScalableLayers {
  readonly bias: LayerBias;
  readonly layers: readonly FittableLayer[];
}

/**
 * Gives every pruned layer's output, before what follows it, the dense layer's mean and variance unit by unit: the unit's weights are multiplied by `s`, the quotient of the deviations, and
 * its bias becomes `mean_dense + s (bias - mean_pruned)`. It is for a model whose BatchNormalization is folded into its layers what new statistics are for one that has it. Each is measured with the layers before
 * it repaired, over the calibration data: one pass with the dense model, and one for each layer on the longest way through the pruned one.
 * @throws EmpError as `captureSums`
 */
export async function repairChannelVariance(context: RepairContext, edits: TensorEdits): Promise<RepairWork> {
  const { dense, pruned, keptUnits } = context;
  const denseModel = await readStoredGraph(dense);
  const model = await readStoredGraph(pruned);
  const { found, leftOut } = findScalable(model, pruned.inventory, [...keptUnits.keys()]);
  const layersOf = new Map(found.map(({ bias, layers }) => [bias, layers]));
  const { comparable, outputsOf, incomparable } = compareBiases([...layersOf.keys()], denseModel, context);
  const what = 'mean and deviation';
  const targets = await measureOutputs(denseModel, comparable, outputsOf, what, { ...context, model: dense });
  const unreached: LeftOut[] = [];
  for (const biases of repairOrder(model.graph, comparable, nodesOfPlaces)) {
    const moments = await measureOutputs(model, biases, ownOutputs, what, { ...context, model: pruned });
    for (const bias of biases) {
      const kept = keptUnits.get(bias.places[0].weight) ?? null;
      const [target, now] = [targets.get(bias.tensor), moments.get(bias.tensor)];
      if (!target || !now) {
        unreached.push({ name: bias.tensor, reason: 'is of a layer that no sample reaches' });
        continue;
      }
      const scales = scalesOf(target, now, kept);
      for (const layer of layersOf.get(bias) ?? []) await scaleRows(layer, scales, edits);
      const numbers = await edits.read(bias.tensor);
      const moved = numbers.map((value, unit) => {
        const added = scales[unit] * (value * bias.factor - now.mean[unit]);
        return (target.mean[kept?.[unit] ?? unit] + added) / bias.factor;
      });
      await edits.write(bias.tensor, moved);
    }
  }
  return {
    nRepaired: comparable.length - unreached.length,
    leftOut: [...leftOut, ...incomparable, ...unreached],
  };
}

export function planChannelVariance(
  model: OnnxModel,
  inventory: ModelInventory,
  weights: readonly string[],
): RepairPlan {
  const { found, leftOut } = findScalable(model, inventory, weights);
  const biases = found.map(({ bias }) => bias);
  const nPasses = 1 + repairOrder(model.graph, biases, nodesOfPlaces).length;
  return { nRepaired: found.length, leftOut, nPasses };
}

/** Layers whose weights and bias can be written, and stand nowhere else. */
function findScalable(
  model: OnnxModel,
  inventory: ModelInventory,
  weights: readonly string[],
): Findings<ScalableLayers> {
  const biases = findBiases(model, inventory, weights);
  const fittable = findFittableLayers(model, inventory, weights);
  const layers = new Map(fittable.found.map((layer) => [layer.weight, layer]));
  const reasons = new Map(fittable.leftOut.map(({ name, reason }) => [name, reason]));
  const found: ScalableLayers[] = [];
  const leftOut = [...biases.leftOut];
  for (const bias of biases.found) {
    const names = [...new Set(bias.places.map(({ weight }) => weight))];
    const isWhole = (name: string) =>
      layers.get(name)?.places.length === bias.places.filter(({ weight }) => weight === name).length;
    const other = names.find((name) => !isWhole(name));
    if (other === undefined) found.push({ bias, layers: names.flatMap((name) => layers.get(name) ?? []) });
    else
      leftOut.push({
        name: other,
        reason: reasons.get(other) ?? 'is multiplied by where another bias is added',
      });
  }
  return { found, leftOut };
}

/** By unit of the pruned layer. */
function scalesOf(target: Moments, now: Moments, kept: readonly number[] | null): Float64Array {
  return now.mean.map((_, unit) => {
    const wanted = target.deviation?.[kept?.[unit] ?? unit] ?? 0;
    const found = now.deviation?.[unit] ?? 0;
    if (wanted === 0 || found < LEAST_DEVIATION * wanted) return 1;
    return Math.min(MAX_SCALE, Math.max(1 / MAX_SCALE, wanted / found));
  });
}

async function scaleRows(layer: FittableLayer, scales: Float64Array, edits: TensorEdits): Promise<void> {
  const matrix = toMatrix(layer, await edits.read(layer.weight));
  for (const [unit, scale] of scales.entries())
    for (let i = unit * layer.features; i < (unit + 1) * layer.features; i++) matrix[i] *= scale;
  await edits.write(layer.weight, fromMatrix(layer, matrix));
}
