import type { IndexMap } from './index-map.ts';
import type { Activations, SiteTree, Weight, WeightSite } from './weights.ts';

/** Places of one weight; more than layers share in any real model. */
const MAX_SITES = 1000;
/** Nodes named in a text. */
const MAX_NAMED = 3;

/** The activations on one side of a weight, and which of their features each of its elements belongs to. */
export interface LayerActivations {
  /** In every layer that shares the weight; all have the same features. */
  readonly values: readonly Activations[];
  readonly features: NonNullable<IndexMap>;
}

/** Where a weight acts: what it multiplies and what that gives. A text says why that cannot be captured. */
export interface LayerSites {
  /** Features are the input features. */
  readonly inputs: LayerActivations | string;
  /** Features are the output units. */
  readonly outputs: LayerActivations | string;
}

export function layerSitesOf(weight: Weight): LayerSites {
  const sites = listSites(weight.sites);
  if (sites === null) {
    const reason = `more than ${MAX_SITES} nodes share it`;
    return { inputs: reason, outputs: reason };
  }
  return {
    inputs: activationsOf(sites, 'source', weight.features),
    outputs: activationsOf(sites, 'result', weight.units),
  };
}

function activationsOf(
  sites: readonly WeightSite[],
  side: 'source' | 'result',
  features: IndexMap,
): LayerActivations | string {
  const values: Activations[] = [];
  for (const { node, [side]: found } of sites) {
    if (typeof found === 'string') return `node ${node.title} ${found}`;
    values.push(found);
  }
  if (features !== null && values.every(({ size }) => size === values[0].size)) return { values, features };
  const labels = sites.slice(0, MAX_NAMED).map(({ node }) => node.title);
  const what = side === 'source' ? 'input feature' : 'output unit';
  return `no single ${what} of ${labels.join(', ')} belongs to each of its elements`;
}

/** Every site once; null for too many. */
export function listSites(tree: SiteTree): WeightSite[] | null {
  const sites: WeightSite[] = [];
  const seen = new Set<SiteTree>();
  const open = [tree];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    if (seen.size > 2 * MAX_SITES) return null;
    if (isSite(next)) sites.push(next);
    else open.push(...next);
  }
  return sites;
}

function isSite(tree: SiteTree): tree is WeightSite {
  return !Array.isArray(tree);
}
