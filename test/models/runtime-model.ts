import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  type ValueInfoProto,
} from '../../src/formats/onnx/onnx-schema.ts';
import type { StoredModel } from '../../src/formats/stored-model.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { tensor } from './build-model.ts';

/** A float32 initializer. */
export function weights(name: string, dims: readonly number[], numbers: readonly number[]): TensorProto {
  return tensor(name, dims, new Float32Array(numbers));
}

interface RunnableParts {
  readonly inputs: ValueInfoProto[];
  readonly nodes: NodeProto[];
  readonly outputs: ValueInfoProto[];
  readonly initializers?: TensorProto[];
}

/** A model that onnxruntime runs (opset 17). */
export function runnableModel(parts: RunnableParts): ModelProto {
  const graph = create(GraphProtoSchema, {
    name: 'graph',
    node: parts.nodes,
    initializer: parts.initializers ?? [],
    input: parts.inputs,
    output: parts.outputs,
  });
  const opsetImport = [create(OperatorSetIdProtoSchema, { domain: '', version: 17n })];
  return create(ModelProtoSchema, { irVersion: 8n, opsetImport, graph });
}

/** Moves the numbers of a model's first initializer to a file of external data, and returns them. */
export function moveOut({ graph }: ModelProto, location: string): Uint8Array {
  const tensor = graph?.initializer[0];
  if (!tensor) throw new TypeError('no initializer');
  const numbers = tensor.rawData;
  tensor.rawData = new Uint8Array();
  tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
  tensor.externalData = [create(StringStringEntryProtoSchema, { key: 'location', value: location })];
  return numbers;
}

/** Writes it as `<name>.onnx` and returns its path. */
export async function writeModel(directory: string, name: string, parts: RunnableParts): Promise<string> {
  const path = join(directory, `${name}.onnx`);
  await writeFile(path, toBinary(ModelProtoSchema, runnableModel(parts)));
  return path;
}

/** Writes it likewise. */
export async function storeModel(
  directory: string,
  name: string,
  parts: RunnableParts,
): Promise<StoredModel> {
  await writeModel(directory, name, parts);
  return await readStoredModel(directory, [`${name}.onnx`]);
}
