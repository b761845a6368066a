import type { GraphProto, NodeProto } from 'onnx-buf';

/** The graphs inside nodes, and inside the nodes of those. */
export function* innerGraphs(nodes: readonly NodeProto[]): Generator<GraphProto> {
  for (const { attribute } of nodes) {
    for (const { g, graphs } of attribute) {
      for (const graph of g === undefined ? graphs : [g, ...graphs]) {
        yield graph;
        yield* innerGraphs(graph.node);
      }
    }
  }
}

export function isStandard({ domain }: { readonly domain: string }): boolean {
  return domain === '' || domain === 'ai.onnx';
}

/** The names that values have anywhere in a graph. */
export function valueNames(graph: GraphProto): Set<string> {
  const names = new Set<string>();
  for (const { input, initializer, sparseInitializer, node } of [graph, ...innerGraphs(graph.node)]) {
    for (const { name } of [...input, ...initializer]) names.add(name);
    for (const { values } of sparseInitializer) names.add(values?.name ?? '');
    for (const { output } of node) for (const name of output) names.add(name);
  }
  return names;
}

/** A beginning that no name of a graph has: `stem`, lengthened where it must be. */
export function freePrefix(graph: GraphProto, stem: string): string {
  const names = [...valueNames(graph)];
  let prefix = stem;
  while (names.some((name) => name.startsWith(prefix))) prefix += '_';
  return prefix;
}
