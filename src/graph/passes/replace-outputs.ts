import { create } from '@bufbuild/protobuf';
import {
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type ValueInfoProto,
} from '../../formats/onnx/onnx-schema.ts';
import { mainGraph } from '../proto-walk.ts';

/**
 * A model with other outputs and more nodes, which stand behind its own. Requires that `added` names nothing anew. Ensures that the model itself stays as it is, which the new one
 * shares what it can with; what an exporter says of inner sizes, which nobody checks, is left out.
 */
export function replaceOutputs(model: ModelProto, output: ValueInfoProto[], added?: GraphProto): ModelProto {
  const own = mainGraph(model);
  const node = [...own.node, ...(added?.node ?? [])];
  const graph = create(GraphProtoSchema, { ...own, node, output, valueInfo: [] });
  return create(ModelProtoSchema, { ...model, graph });
}
