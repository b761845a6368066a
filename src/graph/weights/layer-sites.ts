import { coverAll, type IndexMap } from './index-map.ts';
import type { Activations, SiteTree, WeightSite } from './weight-sites.ts';
import type { Weight } from './weights.ts';

/** Places of one weight; more than layers share in any real model. */
const MAX_SITES = 1000;
/** There are constants of a shape that is computed. */
const MATRICES_SINCE = 9;
/** Nodes named in a text. */
const MAX_NAMED = 3;

/** Activations on one side of a weight, and which of their features each of its elements belongs to, none where it is no part of what multiplies. */
export interface PartActivations {
  /** In every layer that shares the part; all have the same features. */
  readonly values: readonly Activations[];
  readonly features: NonNullable<IndexMap>;
}

/** All on one side of a weight: more than one where parts of it, or the whole in other ways, multiply different values. */
export type LayerActivations = readonly PartActivations[];

/** Where a weight acts: what it multiplies and what that gives. A text says why that cannot be captured. */
export interface LayerSites {
  /** Features are the input features. */
  readonly inputs: LayerActivations | string;
  /** Features are the output units. */
  readonly outputs: LayerActivations | string;
}

/** @param opset the model's, of the standard operators */
export function layerSitesOf({ parts }: Weight, opset: number): LayerSites {
  const listed = parts.map((part) => ({ ...part, sites: listSites(part.sites) }));
  const whole = listed.flatMap(({ sites, ...rest }) => (sites === null ? [] : { ...rest, sites }));
  const count = whole.reduce((sum, { sites }) => sum + sites.length, 0);
  if (whole.length < parts.length || count > MAX_SITES) {
    const reason = `more than ${MAX_SITES} nodes share it`;
    return { inputs: reason, outputs: reason };
  }
  return {
    inputs: activationsOf(
      whole.map(({ sites, features }) => ({ sites, side: 'source', features })),
      opset,
    ),
    outputs: activationsOf(
      whole.map(({ sites, units }) => ({ sites, side: 'result', features: units })),
      opset,
    ),
  };
}

interface SitesOfPart {
  readonly sites: readonly WeightSite[];
  readonly side: 'source' | 'result';
  readonly features: IndexMap;
}

function activationsOf(parts: readonly SitesOfPart[], opset: number): LayerActivations | string {
  const found: PartActivations[] = [];
  const labels = parts.flatMap(({ sites }) => sites.map(({ node }) => node.title)).slice(0, MAX_NAMED);
  for (const { sites, side, features } of parts) {
    const values: Activations[] = [];
    for (const { node, [side]: value } of sites) {
      if (typeof value === 'string') return `node ${node.title} ${value}`;
      if (value.matrices && opset < MATRICES_SINCE)
        return `node ${node.title} multiplies by several matrices, of which sums are formed from ONNX operators of version ${MATRICES_SINCE} on`;
      values.push(value);
    }
    if (features === null || !values.every(({ size }) => size === values[0].size)) {
      const what = side === 'source' ? 'input feature' : 'output unit';
      return `no single ${what} of ${labels.join(', ')} belongs to each of its elements`;
    }
    found.push({ values, features });
  }
  if (coverAll(found.map(({ features }) => features))) return found;
  return `${labels.join(', ')} multiply by some of its elements alone`;
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
