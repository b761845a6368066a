import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import {
  type ModelProto,
  ModelProtoSchema,
  TensorProtoSchema,
  type ValueInfoProto,
} from '../../src/formats/onnx/onnx-schema.ts';
import { isStandard } from '../../src/graph/proto-walk.ts';
import { installedModels } from '../model-files.ts';

/** Before it Mul, which masks, is not what it is now. What of older models another version takes for something else, it refuses. */
const MIN_OPSET = 7n;

export interface NodeTest {
  readonly name: string;
  /** Of its nodes, each once. */
  readonly operators: readonly string[];
  /** With the test's own input data for initializers; what is no tensor stays an input. */
  readonly model: ModelProto;
}

/** ONNX's tests of single operators and of functions written out, and its single layers from PyTorch. */
export async function* readNodeTests(): AsyncGenerator<NodeTest> {
  for (const path of installedModels()) {
    if (!/\/(node|pytorch-converted|pytorch-operator)\/[^/]+\/model\.onnx$/.test(path)) continue;
    const model = fromBinary(ModelProtoSchema, new Uint8Array(await readFile(path)));
    await makeConstant(model, dirname(path));
    for (const entry of model.opsetImport.filter(isStandard)) {
      if (entry.version < MIN_OPSET) entry.version = MIN_OPSET;
    }
    const operators = [...new Set(model.graph?.node.map(({ opType }) => opType))];
    yield { name: basename(dirname(path)), operators, model };
  }
}

async function makeConstant({ graph }: ModelProto, directory: string): Promise<void> {
  if (!graph) throw new TypeError(`no graph in ${directory}`);
  const stored = new Set(graph.initializer.map(({ name }) => name));
  const fed = graph.input.filter(({ name }) => !stored.has(name));
  const constant = new Set<ValueInfoProto>();
  for (const [index, input] of fed.entries()) {
    const path = join(directory, 'test_data_set_0', `input_${index}.pb`);
    if (input.type?.value.case !== 'tensorType' || !existsSync(path)) continue;
    const tensor = fromBinary(TensorProtoSchema, new Uint8Array(await readFile(path)));
    tensor.name = input.name;
    graph.initializer.push(tensor);
    constant.add(input);
  }
  graph.input = graph.input.filter((input) => !constant.has(input));
}
