import type { ModelProto } from '../../formats/onnx/onnx-schema.ts';
import { createNode } from '../messages.ts';
import { allGraphs, isConstant } from '../proto-walk.ts';
import type { StoredTensor } from '../weights/constants.ts';

/**
 * Reads a weight that several Constant nodes of one graph hold, as the calls of a function that stores it do, from the first of them: each would get rows of its own
 * removed, and be written apart. Requires that functions are inlined. Ensures that each of `weights` is held by one Constant node of a graph at most.
 */
export function shareWeights(
  model: ModelProto,
  { weights }: { readonly weights: ReadonlySet<StoredTensor> },
): void {
  for (const graph of allGraphs(model)) {
    const names = new Map<StoredTensor, string>();
    graph.node = graph.node.map((node) => {
      const tensor = isConstant(node) ? node.attribute[0]?.t : undefined;
      if (tensor === undefined || !weights.has(tensor)) return node;
      const [name] = node.output;
      const first = names.get(tensor);
      if (first !== undefined) return createNode('Identity', [first], [name]);
      names.set(tensor, name);
      return node;
    });
  }
}
