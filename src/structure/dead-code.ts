import type { GraphProto } from '../formats/onnx/onnx-schema.ts';
import { innerGraphs } from '../graph/proto-walk.ts';

/** Removes nodes whose outputs nobody reads, and stored tensors likewise, until nothing more can go. */
export function removeDeadCode(graph: GraphProto): void {
  for (let count = -1; count !== graph.node.length; ) {
    count = graph.node.length;
    const read = readNames(graph);
    graph.node = graph.node.filter(({ output }) => output.some((name) => read.has(name)));
  }
  const read = readNames(graph);
  const unread = new Set(graph.initializer.map(({ name }) => name).filter((name) => !read.has(name)));
  graph.initializer = graph.initializer.filter(({ name }) => !unread.has(name));
  // Old models list their tensors among the inputs too, where one alone would have to be fed.
  graph.input = graph.input.filter(({ name }) => !unread.has(name));
  graph.sparseInitializer = graph.sparseInitializer.filter(({ values }) => read.has(values?.name ?? ''));
}

function readNames(graph: GraphProto): Set<string> {
  const read = new Set<string>();
  for (const { node, output } of [graph, ...innerGraphs(graph.node)]) {
    for (const { input } of node) for (const name of input) read.add(name);
    for (const { name } of output) read.add(name);
  }
  return read;
}
