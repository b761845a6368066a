import { create } from '@bufbuild/protobuf';
import { type ModelProto, TensorProto_DataType, TensorProtoSchema } from '../../formats/onnx/onnx-schema.ts';
import { createAttribute } from '../messages.ts';
import { allGraphs, isConstant } from '../proto-walk.ts';

/** Gives Constant nodes that hold a list of floats a tensor of these, which can be stored in part. Requires no functions. Ensures that none is left and that values are the same. */
export function listsToTensors(model: ModelProto): void {
  for (const node of allGraphs(model).flatMap((graph) => graph.node)) {
    const [attribute] = node.attribute;
    if (!isConstant(node) || attribute?.name !== 'value_floats') continue;
    const tensor = create(TensorProtoSchema, {
      dataType: TensorProto_DataType.FLOAT,
      dims: [BigInt(attribute.floats.length)],
      rawData: new Uint8Array(Float32Array.from(attribute.floats).buffer),
    });
    node.attribute = [createAttribute('value', { tensor })];
  }
}
