import type { OnnxGraph, OnnxNode, OnnxValue } from './onnx-model.ts';

/** Values of enclosing graphs that are read in a graph, or in graphs inside it, each once. */
export function capturedValues(graph: OnnxGraph): OnnxValue[] {
  return [...new Set(valuesReadIn(graph))].filter((value) => !isWithin(value.graph, graph));
}

/** All values that a node reads, in the graphs inside it too. */
export function valuesRead({ inputs, subgraphs }: OnnxNode): OnnxValue[] {
  const inner = subgraphs.flatMap(({ graph }) => valuesReadIn(graph));
  return [...inputs.filter((value) => value !== null), ...inner];
}

/** The values of its own graph that a node reads, in the graphs inside it too. */
export function ownValuesRead(node: OnnxNode): OnnxValue[] {
  return valuesRead(node).filter(({ graph }) => graph === node.graph);
}

function valuesReadIn({ nodes, outputs }: OnnxGraph): OnnxValue[] {
  return [...nodes.flatMap(valuesRead), ...outputs];
}

/** Whether a graph is `outer`, or inside it. */
function isWithin(graph: OnnxGraph | null, outer: OnnxGraph): boolean {
  return graph === outer || (graph !== null && isWithin(graph.parent, outer));
}
