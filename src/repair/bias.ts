import type { ModelInventory } from '../formats/model.ts';
import { readStoredGraph } from '../graph/interface.ts';
import type { OnnxModel } from '../graph/onnx-model.ts';
import { findBiases } from './layer-biases.ts';
import { compareBiases, measureOutputs, ownOutputs } from './output-moments.ts';
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
  const { comparable, outputsOf, incomparable } = compareBiases(found, denseModel, context);
  const targets = await measureOutputs(denseModel, comparable, outputsOf, 'mean', {
    ...context,
    model: dense,
  });
  const unreached: LeftOut[] = [];
  for (const biases of repairOrder(model.graph, comparable, nodesOfPlaces)) {
    const means = await measureOutputs(model, biases, ownOutputs, 'mean', { ...context, model: pruned });
    for (const { tensor, factor, places } of biases) {
      const kept = keptUnits.get(places[0].weight) ?? null;
      const [target, mean] = [targets.get(tensor)?.mean, means.get(tensor)?.mean];
      if (!target || !mean) {
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
    leftOut: [...leftOut, ...incomparable, ...unreached],
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
