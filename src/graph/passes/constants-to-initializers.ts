import { clone, create } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
} from '../../formats/onnx/onnx-schema.ts';
import { createNode } from '../messages.ts';
import { allGraphs, isConstant } from '../proto-walk.ts';

/**
 * Makes initializers of the Constant nodes of the main graph and of those inside it, under the names of their outputs. Requires nothing. Ensures that only sparse
 * constants are left as nodes, and that no two graphs share a tensor that was one's constant.
 */
export function constantsToInitializers(model: ModelProto): void {
  const holders = new Map<TensorProto, GraphProto>();
  for (const graph of allGraphs(model)) {
    graph.node = graph.node.flatMap((node) => {
      const tensor = isConstant(node) ? tensorOf(node.attribute) : null;
      if (tensor === null) return [node];
      const [name] = node.output;
      const holder = holders.get(tensor);
      if (holder === graph) {
        // Copies of a function's body share its tensors.
        return [createNode('Identity', [tensor.name], [name])];
      }
      const own = holder === undefined ? tensor : clone(TensorProtoSchema, tensor);
      own.name = name;
      graph.initializer.push(own);
      holders.set(own, graph);
      return [];
    });
  }
}

/** The tensor in one of the ways that a Constant can hold it. */
function tensorOf([attribute]: readonly AttributeProto[]): TensorProto | null {
  switch (attribute?.name) {
    case 'value':
      return attribute.t ?? null;
    case 'value_float':
      return createTensor(TensorProto_DataType.FLOAT, null, { floatData: [attribute.f] });
    case 'value_floats':
      return createTensor(TensorProto_DataType.FLOAT, attribute.floats, { floatData: attribute.floats });
    case 'value_int':
      return createTensor(TensorProto_DataType.INT64, null, { int64Data: [attribute.i] });
    case 'value_ints':
      return createTensor(TensorProto_DataType.INT64, attribute.ints, { int64Data: attribute.ints });
    case 'value_string':
      return createTensor(TensorProto_DataType.STRING, null, { stringData: [attribute.s] });
    case 'value_strings':
      return createTensor(TensorProto_DataType.STRING, attribute.strings, { stringData: attribute.strings });
    default:
      return null;
  }
}

/** Of rank 0, or as long as the list. */
function createTensor(
  dataType: TensorProto_DataType,
  list: readonly unknown[] | null,
  numbers: Partial<Pick<TensorProto, 'floatData' | 'int64Data' | 'stringData'>>,
): TensorProto {
  return create(TensorProtoSchema, {
    dataType,
    dims: list === null ? [] : [BigInt(list.length)],
    ...numbers,
  });
}
