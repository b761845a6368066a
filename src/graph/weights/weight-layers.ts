import { nameStoredTensors } from '../onnx-inventory.ts';
import type { OnnxModel, OnnxNode } from '../onnx-model.ts';
import { listSites } from './layer-sites.ts';
import { findWeights, type Weight, type WeightSite } from './weights.ts';

/** The nodes that multiply by one weight. */
export interface Layer extends Pick<Weight, 'features' | 'units'> {
  readonly weight: string;
  /** In the graph's order, so that those of a pruned model go with those of the dense one. */
  readonly sites: readonly WeightSite[];
}

/** The layers of `weights`, by name; of one that no node of the main graph multiplies by there is none. */
export function findLayers(model: OnnxModel, weights: Iterable<string>): Map<string, Layer> {
  const order = new Map<OnnxNode, number>(model.graph.nodes.map((node, index) => [node, index]));
  const wanted = new Set(weights);
  const found = findWeights(model);
  const layers = new Map<string, Layer>();
  for (const [stored, name] of nameStoredTensors(model)) {
    const weight = wanted.has(name) ? found.get(stored) : undefined;
    const sites = weight && listSites(weight.sites);
    if (!weight || !sites?.every(({ node }) => order.has(node))) continue;
    const sorted = sites.toSorted((a, b) => (order.get(a.node) ?? 0) - (order.get(b.node) ?? 0));
    layers.set(name, { weight: name, sites: sorted, features: weight.features, units: weight.units });
  }
  return layers;
}

export const NO_LAYER = 'belongs to no layer of the main graph';
