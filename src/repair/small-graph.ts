import { create, toBinary } from '@bufbuild/protobuf';
import {
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  OperatorSetIdProtoSchema,
  type TensorProto_DataType,
} from '../formats/onnx/onnx-schema.ts';
import { GraphBuilder } from '../graph/graph-builder.ts';
import { createNode, declareTensor } from '../graph/messages.ts';
import { type ModelSession, openSession, type RuntimeSettings } from '../runtime/session.ts';

const OPSET = 17;
/** Of onnxruntime’s own operators. */
const MICROSOFT = { domain: 'com.microsoft', version: 1n };

/** A graph on values of one type, for onnxruntime to compute with. */
export class SmallGraph {
  readonly builder: GraphBuilder;
  readonly #graph: GraphProto;
  readonly #type: TensorProto_DataType;

  constructor(inputs: readonly string[], type: TensorProto_DataType) {
    this.#type = type;
    this.#graph = create(GraphProtoSchema, { name: 'small' });
    this.#graph.input = inputs.map((name) => declareTensor(name, type));
    this.builder = new GraphBuilder(this.#graph, 'small_', OPSET);
  }

  /** With values as outputs, under names by which they are fetched. */
  async open(outputs: Readonly<Record<string, string>>, runtime: RuntimeSettings): Promise<ModelSession> {
    for (const [output, value] of Object.entries(outputs)) {
      this.#graph.node.push(createNode('Identity', [value], [output]));
      this.#graph.output.push(declareTensor(output, this.#type));
    }
    const opsetImport = [{ version: BigInt(OPSET) }, MICROSOFT].map((opset) =>
      create(OperatorSetIdProtoSchema, opset),
    );
    const model = create(ModelProtoSchema, { irVersion: 8n, opsetImport, graph: this.#graph });
    return await openSession(toBinary(ModelProtoSchema, model), runtime);
  }
}
