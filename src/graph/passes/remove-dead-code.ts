import type { GraphProto, ModelProto } from '../../formats/onnx/onnx-schema.ts';
import { innerGraphs, mainGraph } from '../proto-walk.ts';

/**
 * Removes nodes of the main graph whose outputs nobody reads, and stored tensors likewise. Requires nothing. Ensures that every node and stored tensor of the main graph is read, in
 * it or in a graph inside it, or is an output; graphs inside stay as they are.
 */
export function removeDeadCode(model: ModelProto): void {
  const graph = mainGraph(model);
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
