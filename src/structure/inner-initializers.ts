import { create } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type GraphProto,
  NodeProtoSchema,
  type TensorProto,
} from '../formats/onnx/onnx-schema.ts';

/** Before this `ir_version` an initializer had to be an input too, which a branch has none of. */
export const INNER_INITIALIZERS_SINCE = 4n;

/** Makes Constant nodes of the initializers of a graph, which come before all that reads them. */
export function initializersToConstants(graph: GraphProto): void {
  graph.node.unshift(...graph.initializer.map(constantOf));
  graph.initializer = [];
}

function constantOf(t: TensorProto) {
  const value = create(AttributeProtoSchema, { name: 'value', type: AttributeProto_AttributeType.TENSOR, t });
  return create(NodeProtoSchema, { opType: 'Constant', output: [t.name], attribute: [value] });
}
