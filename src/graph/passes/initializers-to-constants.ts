import type { ModelProto } from '../../formats/onnx/onnx-schema.ts';
import { createNode } from '../messages.ts';
import { mainGraph } from '../proto-walk.ts';

/** Before this `ir_version` an initializer had to be an input too, which a branch has none of. */
export const BRANCH_INITIALIZERS_SINCE = 4n;

/**
 * Makes Constant nodes of the main graph's initializers, where the graph is a branch's and branches cannot have any. Requires that none of them is an input. Ensures
 * that the graph can stand in a node of a model of this `ir_version`.
 */
export function initializersToConstants(model: ModelProto): void {
  if (model.irVersion >= BRANCH_INITIALIZERS_SINCE) return;
  const graph = mainGraph(model);
  const constants = graph.initializer.map((tensor) =>
    createNode('Constant', [], [tensor.name], { value: { tensor } }),
  );
  graph.node = [...constants, ...graph.node];
  graph.initializer = [];
}
