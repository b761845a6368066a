import { clone } from '@bufbuild/protobuf';
import { type GraphProto, TensorProtoSchema } from 'onnx-buf';
import { isFloatDtype } from '../core/dtype.ts';
import { elementCount } from '../formats/model.ts';
import { freePrefix } from '../formats/onnx/proto-walk.ts';
import { dtypeOf, parseShape } from '../formats/onnx/tensor-data.ts';

/** Initial states, masks and scales have no more; a weight that layers share has to stay one. */
const MAX_ELEMENTS = 4096;

/**
 * Gives every node of the main graph a copy of its own of the small float constants that several read, such as the zeros that stacked LSTMs start from: one tensor
 * would tie the nodes' structures together. Matrices that are shared are left alone where they are weights.
 * @param weights names of tensors that stay one
 */
export function separateConstants(graph: GraphProto, weights: ReadonlySet<string>): void {
  const small = new Map(
    graph.initializer
      .filter((tensor) => isFloatDtype(dtypeOf(tensor)) && !weights.has(tensor.name))
      .filter((tensor) => {
        const count = elementCount(parseShape(tensor.dims, tensor.name));
        return count > 1 && count <= MAX_ELEMENTS;
      })
      .map((tensor) => [tensor.name, tensor]),
  );
  const prefix = freePrefix(graph, 'copy_');
  const used = new Set<string>();
  let copies = 0;
  for (const node of graph.node) {
    for (const [input, name] of node.input.entries()) {
      const tensor = small.get(name);
      if (tensor === undefined) continue;
      if (!used.has(name)) {
        used.add(name);
        continue;
      }
      const copy = clone(TensorProtoSchema, tensor);
      copy.name = `${prefix}${copies++}_${name}`;
      graph.initializer.push(copy);
      node.input[input] = copy.name;
    }
  }
}
