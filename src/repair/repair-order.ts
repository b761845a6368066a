import type { OnnxGraph, OnnxNode, OnnxValue } from '../graph/onnx-model.ts';
import { ownValuesRead } from '../graph/reads.ts';

/** Nodes that items share may carry levels on to each other for ever, where they cross; those of real models are done in a few sweeps. */
const MAX_SWEEPS = 64;
/** Sets that one sweep looks for: bits of a number. */
const SETS_AT_ONCE = 31;

/**
 * Items in groups, to be worked on one after the other: an item comes after all those of which a node lies upstream of one of its own, and items that do not depend on each other
 * share a group, so that there are as few as possible.
 * @param nodesOf nodes of the main graph `graph`, none of two items
 */
export function repairOrder<T>(
  graph: OnnxGraph,
  items: readonly T[],
  nodesOf: (item: T) => readonly OnnxNode[],
): T[][] {
  const owners = new Map(items.flatMap((item, owner) => nodesOf(item).map((node) => [node, owner])));
  const levels = items.map(() => 0);
  const reads = graph.nodes.map((node) => ({ node, values: ownValuesRead(node) }));
  // One sweep does for items of one node; several nodes of one item carry its level on to each other.
  for (let sweep = 0; sweep <= Math.min(levels.length, MAX_SWEEPS); sweep++) {
    let isSettled = true;
    const depths = new Map<OnnxValue, number>();
    for (const { node, values } of reads) {
      let depth = values.reduce((most, value) => Math.max(most, depths.get(value) ?? 0), 0);
      const owner = owners.get(node);
      if (owner !== undefined) {
        if (depth > levels[owner]) {
          levels[owner] = depth;
          isSettled = false;
        }
        depth = levels[owner] + 1;
      }
      for (const value of node.outputs) if (value !== null) depths.set(value, depth);
    }
    if (isSettled) break;
  }
  const groups = Map.groupBy(items.keys(), (index) => levels[index]);
  return [...groups]
    .sort(([level], [other]) => level - other)
    .map(([, indices]) => indices.map((index) => items[index]));
}

/** The nodes of what stands in several places. */
export function nodesOfPlaces({
  places,
}: {
  readonly places: readonly { readonly node: OnnxNode }[];
}): OnnxNode[] {
  return places.map(({ node }) => node);
}

/** Those of the sets of nodes of which one node reads what another, or itself, has gone into. */
export function findFollowing<T extends ReadonlySet<OnnxNode>>(graph: OnnxGraph, sets: readonly T[]): Set<T> {
  const asked = sets.filter(({ size }) => size > 1);
  const found = new Set<T>();
  if (asked.length === 0) return found;
  const reads = graph.nodes.map((node) => ({ node, values: ownValuesRead(node) }));
  for (let from = 0; from < asked.length; from += SETS_AT_ONCE) {
    const own = asked.slice(from, from + SETS_AT_ONCE);
    const bitsOf = new Map<OnnxNode, number>();
    for (const [bit, nodes] of own.entries()) {
      for (const node of nodes) bitsOf.set(node, (bitsOf.get(node) ?? 0) | (1 << bit));
    }
    const reached = new Map<OnnxValue, number>();
    let following = 0;
    for (const { node, values } of reads) {
      const before = values.reduce((bits, value) => bits | (reached.get(value) ?? 0), 0);
      const bits = bitsOf.get(node) ?? 0;
      following |= before & bits;
      if ((before | bits) === 0) continue;
      for (const value of node.outputs) if (value !== null) reached.set(value, before | bits);
    }
    for (const [bit, nodes] of own.entries()) if (following & (1 << bit)) found.add(nodes);
  }
  return found;
}
