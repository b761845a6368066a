import type { OnnxGraph, OnnxNode, OnnxValue } from '../graph/onnx-model.ts';
import { valuesRead } from '../graph/reads.ts';

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
  const reads = graph.nodes.map((node) => ({ node, values: readsOf(node, graph) }));
  // One sweep does for items of one node; several nodes of one item carry its level on to each other.
  for (let sweep = 0; sweep <= levels.length; sweep++) {
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

/** Whether one of the nodes reads what another, or itself, has gone into. */
export function followsItself(graph: OnnxGraph, nodes: ReadonlySet<OnnxNode>): boolean {
  if (nodes.size < 2) return false;
  const reached = new Set<OnnxValue>();
  for (const node of graph.nodes) {
    const isReached = readsOf(node, graph).some((value) => reached.has(value));
    if (isReached && nodes.has(node)) return true;
    if (!isReached && !nodes.has(node)) continue;
    for (const value of node.outputs) if (value !== null) reached.add(value);
  }
  return false;
}

/** The values of `graph` that a node of it reads, in its bodies too. */
function readsOf(node: OnnxNode, graph: OnnxGraph): OnnxValue[] {
  return valuesRead(node).filter((value) => value.graph === graph);
}
