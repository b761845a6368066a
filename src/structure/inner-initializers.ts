import type { GraphProto } from '../formats/onnx/onnx-schema.ts';
import { createNode } from '../graph/messages.ts';

/** Before this `ir_version` an initializer had to be an input too, which a branch has none of. */
export const INNER_INITIALIZERS_SINCE = 4n;

/** Makes Constant nodes of the initializers of a graph, which come before all that reads them. */
export function initializersToConstants(graph: GraphProto): void {
  const constants = graph.initializer.map((tensor) =>
    createNode('Constant', [], [tensor.name], { value: { tensor } }),
  );
  graph.node.unshift(...constants);
  graph.initializer = [];
}
