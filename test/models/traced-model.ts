import { create } from '@bufbuild/protobuf';
import { type ByteSource, bytesSource } from '../../src/formats/byte-source.ts';
import type { ModelFiles } from '../../src/formats/model.ts';
import {
  type ModelProto,
  type NodeProto,
  OperatorSetIdProtoSchema,
  type TensorProto,
  ValueInfoProtoSchema,
} from '../../src/formats/onnx/onnx-schema.ts';
import type { ShapeTrace } from '../../src/graph/observed-values.ts';
import { readOnnxModel } from '../../src/graph/onnx-inventory.ts';
import { traceShapes } from '../../src/runtime/shape-trace.ts';
import { RUNTIME } from '../criteria/run-criterion.ts';
import { encode, value } from './build-model.ts';
import { runnableModel } from './runtime-model.ts';

/** Operators of onnxruntime's own. */
export const MICROSOFT = 'com.microsoft';

export const NEVER = new AbortController().signal;

export async function traceFiles(files: ModelFiles): Promise<ShapeTrace> {
  return await traceShapes(await readOnnxModel(files), files, RUNTIME, NEVER);
}

export function filesOf(
  model: ModelProto | Uint8Array,
  others: Record<string, ByteSource> = {},
): Map<string, ByteSource> {
  const source = bytesSource(model instanceof Uint8Array ? model : encode(model));
  return new Map(Object.entries({ 'model.onnx': source, ...others }));
}

export function trace(
  model: ModelProto | Uint8Array,
  others?: Record<string, ByteSource>,
): Promise<ShapeTrace> {
  return traceFiles(filesOf(model, others));
}

export interface Parts {
  readonly inputs?: Parameters<typeof value>[];
  readonly nodes: NodeProto[];
  readonly outputs?: string[];
  readonly initializers?: TensorProto[];
  readonly opset?: number;
}

/** A model with one input `x [batch, 4]` and its last value for an output, unless told otherwise. */
export function build({
  inputs = [['x', ['batch', 4]]],
  nodes,
  outputs,
  initializers = [],
  opset = 17,
}: Parts) {
  const proto = runnableModel({
    inputs: inputs.map((input) => value(...input)),
    nodes,
    outputs: (outputs ?? [nodes.at(-1)!.output[0]]).map((name) => create(ValueInfoProtoSchema, { name })),
    initializers,
  });
  proto.opsetImport[0].version = BigInt(opset);
  if (nodes.some(({ domain }) => domain === MICROSOFT)) {
    proto.opsetImport.push(create(OperatorSetIdProtoSchema, { domain: MICROSOFT, version: 1n }));
  }
  return proto;
}
