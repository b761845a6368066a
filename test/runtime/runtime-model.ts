import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  OperatorSetIdProtoSchema,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf';

type DtypeName = Exclude<keyof typeof TensorProto_DataType, number>;

/** An input or output: numbers are fixed dimensions, names dynamic ones. */
export function value(
  name: string,
  dims: readonly (number | string)[],
  dtype: DtypeName = 'FLOAT',
): ValueInfoProto {
  const shape = {
    dim: dims.map((size) => ({
      value:
        typeof size === 'number'
          ? { case: 'dimValue' as const, value: BigInt(size) }
          : { case: 'dimParam' as const, value: size },
    })),
  };
  const elemType = TensorProto_DataType[dtype];
  const type = create(TypeProtoSchema, { value: { case: 'tensorType', value: { elemType, shape } } });
  return create(ValueInfoProtoSchema, { name, type });
}

/** A float32 initializer. */
export function weights(name: string, dims: readonly number[], numbers: readonly number[]): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dims: dims.map(BigInt),
    dataType: TensorProto_DataType.FLOAT,
    rawData: new Uint8Array(new Float32Array(numbers).buffer),
  });
}

interface RunnableParts {
  readonly inputs: ValueInfoProto[];
  readonly nodes: NodeProto[];
  readonly outputs: ValueInfoProto[];
  readonly initializers?: TensorProto[];
}

/** Writes a model that onnxruntime runs (opset 17) as `<name>.onnx` and returns its path. */
export async function writeModel(directory: string, name: string, parts: RunnableParts): Promise<string> {
  const graph = create(GraphProtoSchema, {
    name: 'graph',
    node: parts.nodes,
    initializer: parts.initializers ?? [],
    input: parts.inputs,
    output: parts.outputs,
  });
  const opsetImport = [create(OperatorSetIdProtoSchema, { domain: '', version: 17n })];
  const path = join(directory, `${name}.onnx`);
  await writeFile(
    path,
    toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 8n, opsetImport, graph })),
  );
  return path;
}
