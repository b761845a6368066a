import { nameStoredTensors } from '../onnx-inventory.ts';
import type { OnnxModel, OnnxNode } from '../onnx-model.ts';
import { type IndexMap, isWhole } from './index-map.ts';
import { listSites } from './layer-sites.ts';
import type { WeightSite } from './weight-sites.ts';
import { findWeights, type Weight } from './weights.ts';

/** The nodes that multiply by one weight. */
export interface Layer {
  readonly weight: string;
  /** Where each of its elements stands; null where nodes multiply by parts of it, or in several ways. */
  readonly features: IndexMap;
  readonly units: IndexMap;
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
    const sites = weight && sitesOf(weight);
    if (!weight || !sites?.every(({ node }) => order.has(node))) continue;
    const sorted = sites.toSorted((a, b) => (order.get(a.node) ?? 0) - (order.get(b.node) ?? 0));
    const [{ features, units }] = weight.parts;
    const isPart = weight.parts.length > 1 || !features || !units || !isWhole(features) || !isWhole(units);
    const maps = isPart ? { features: null, units: null } : { features, units };
    layers.set(name, { weight: name, sites: sorted, ...maps });
  }
  return layers;
}

/** Null for too many. */
function sitesOf({ parts }: Weight): WeightSite[] | null {
  const sites = parts.map((part) => listSites(part.sites));
  return sites.every((list) => list !== null) ? [...new Set(sites.flat())] : null;
}

export const NO_LAYER = 'belongs to no layer of the main graph';
