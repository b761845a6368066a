import type { GraphProto, ModelProto, NodeProto } from '../../formats/onnx/onnx-schema.ts';
import { innerGraphs, mainGraph } from '../proto-walk.ts';

/**
 * Removes nodes of the main graph whose outputs nobody reads, and stored tensors likewise. Requires nothing. Ensures that every node and stored tensor of the main graph is read, in
 * it or in a graph inside it, or is an output; graphs inside stay as they are.
 */
export function removeDeadCode(model: ModelProto): void {
  const graph = mainGraph(model);
  graph.node = livingNodes(graph);
  const read = readNames(graph);
  const unread = new Set(graph.initializer.map(({ name }) => name).filter((name) => !read.has(name)));
  graph.initializer = graph.initializer.filter(({ name }) => !unread.has(name));
  // Old models list their tensors among the inputs too, where one alone would have to be fed.
  graph.input = graph.input.filter(({ name }) => !unread.has(name));
  graph.sparseInitializer = graph.sparseInitializer.filter(({ values }) => read.has(values?.name ?? ''));
}

/** The nodes that are left when those that nobody reads go, and then those that only they had read. */
function livingNodes(graph: GraphProto): NodeProto[] {
  const readers = new Map<string, number>();
  const count = (name: string, by: number) => {
    const left = (readers.get(name) ?? 0) + by;
    readers.set(name, left);
    return left;
  };
  for (const { name } of graph.output) count(name, 1);
  for (const node of graph.node) for (const name of namesRead(node)) count(name, 1);
  const producers = Map.groupBy(
    graph.node.flatMap((node) => node.output.map((name) => ({ name, node }))),
    ({ name }) => name,
  );
  const isDead = ({ output }: NodeProto) => output.every((name) => (readers.get(name) ?? 0) === 0);
  const dead = new Set(graph.node.filter(isDead));
  for (const node of dead) {
    for (const name of namesRead(node)) {
      if (count(name, -1) > 0) continue;
      for (const producer of producers.get(name) ?? []) if (isDead(producer.node)) dead.add(producer.node);
    }
  }
  return graph.node.filter((node) => !dead.has(node));
}

/** By a node, and by the graphs inside it. */
function* namesRead(node: NodeProto): Generator<string> {
  yield* node.input;
  for (const inner of innerGraphs([node])) {
    for (const { input } of inner.node) yield* input;
    for (const { name } of inner.output) yield name;
  }
}

function readNames(graph: GraphProto): Set<string> {
  const read = new Set<string>();
  for (const { node, output } of [graph, ...innerGraphs(graph.node)]) {
    for (const { input } of node) for (const name of input) read.add(name);
    for (const { name } of output) read.add(name);
  }
  return read;
}
