import type { OnnxGraph, OnnxNode, OnnxValue } from './onnx-model.ts';

/** Values of enclosing graphs that are read in a graph, or in graphs inside it, each once. */
export function capturedValues(graph: OnnxGraph): OnnxValue[] {
  const inside = new Set<OnnxGraph>();
  const read = new Set<OnnxValue>();
  const visit = (inner: OnnxGraph) => {
    inside.add(inner);
    for (const { inputs, subgraphs } of inner.nodes) {
      for (const value of inputs) if (value) read.add(value);
      for (const subgraph of subgraphs) visit(subgraph.graph);
    }
    for (const value of inner.outputs) read.add(value);
  };
  visit(graph);
  return [...read].filter((value) => !inside.has(value.graph));
}

/** All values that a node reads, in the graphs inside it too. */
export function valuesRead({ inputs, subgraphs }: OnnxNode): OnnxValue[] {
  const inner = subgraphs.flatMap(({ graph }) => [...graph.nodes.flatMap(valuesRead), ...graph.outputs]);
  return [...inputs.filter((value) => value !== null), ...inner];
}
