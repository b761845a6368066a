import type { ReadModel } from '../runtime/staged-run.ts';
import { isStoredAsFloats } from './editable-tensors.ts';
import { describeLayers, type FittableLayer, findFittableLayers } from './fittable-layers.ts';
import { placedBiases } from './layer-biases.ts';
import type { LeftOut, RepairContext } from './repair-context.ts';

/** A layer as it is in both models. */
export interface LayerPair {
  readonly dense: FittableLayer;
  readonly pruned: FittableLayer;
  /** Of the dense layer, in the pruned one's order; null for all. */
  readonly keptUnits: readonly number[] | null;
  /** What each place adds, which another repair may have changed; null where it adds no stored bias. */
  readonly biases: readonly (BiasPair | null)[];
}

/** A bias as it is called in both models: the pruned one may have a copy of its own of what layers of the dense one share. */
interface BiasPair {
  readonly dense: string;
  readonly pruned: string;
  /** By which it is multiplied before it is added, relative to the layer's product. */
  readonly factor: number;
}

/** The layers of the weights that were pruned which can be fitted, and which cannot. */
export function pairLayers(
  dense: ReadModel,
  pruned: ReadModel,
  keptUnits: RepairContext['keptUnits'],
): { pairs: LayerPair[]; leftOut: LeftOut[] } {
  const weights = [...keptUnits.keys()];
  const { found, leftOut } = findFittableLayers(pruned.model, pruned.inventory, weights);
  const denseLayers = describeLayers(dense.model, dense.inventory, weights);
  const biases = pairBiases(dense, pruned, weights);
  const pairs: LayerPair[] = [];
  const unpaired: LeftOut[] = [];
  for (const layer of found) {
    const { weight: name, groups, places } = layer;
    const counterpart = denseLayers.get(name);
    const kept = keptUnits.get(name) ?? null;
    if (typeof counterpart !== 'object' || counterpart.places.length !== places.length)
      unpaired.push({ name, reason: 'has no counterpart in the dense model' });
    else if (groups !== counterpart.groups || (groups > 1 && kept !== null))
      unpaired.push({ name, reason: 'has groups of which parts are gone' });
    else pairs.push({ dense: counterpart, pruned: layer, keptUnits: kept, biases: biases(name) });
  }
  return { pairs, leftOut: [...leftOut, ...unpaired] };
}

/** What the places of each layer add, by its weight. */
function pairBiases(
  dense: ReadModel,
  pruned: ReadModel,
  weights: readonly string[],
): (weight: string) => (BiasPair | null)[] {
  const [before, now] = [dense, pruned].map(({ model, inventory }) =>
    placedBiases(model, inventory, weights),
  );
  return (weight) =>
    (now.get(weight) ?? []).map((bias, place) => {
      const former = before.get(weight)?.[place];
      if (typeof bias !== 'object' || typeof former !== 'object') return null;
      const isReadable =
        isStoredAsFloats(former.tensor, dense.inventory) && isStoredAsFloats(bias.tensor, pruned.inventory);
      if (!isReadable) return null;
      const { node, factor } = bias;
      const relative = factor / (node.op === 'Gemm' ? node.float('alpha', 1) : 1);
      return { dense: former.tensor, pruned: bias.tensor, factor: relative };
    });
}
