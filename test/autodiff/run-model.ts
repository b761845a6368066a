import { create, toBinary } from '@bufbuild/protobuf';
import { env, InferenceSession, Tensor } from 'onnxruntime-node';
import {
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  TensorProto_DataType,
  ValueInfoProtoSchema,
} from '../../src/formats/onnx/onnx-schema.ts';

/** onnxruntime finds the outputs' shapes itself. */
export function declareOutputs(
  model: ModelProto,
  names: Iterable<string>,
  elemType: TensorProto_DataType = TensorProto_DataType.FLOAT,
): void {
  const graph = model.graph as GraphProto;
  const type = { value: { case: 'tensorType' as const, value: { elemType } } };
  graph.output = [...names].map((name) => create(ValueInfoProtoSchema, { name, type }));
}

export function openModel(model: ModelProto): Promise<InferenceSession> {
  env.logLevel = 'fatal';
  return InferenceSession.create(toBinary(ModelProtoSchema, model), {
    intraOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    logSeverityLevel: 4,
  });
}

/** Numbers from 0 to 1: Mulberry32. */
export function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function float32(data: Float32Array, dims: readonly number[]): Tensor {
  return new Tensor('float32', data, dims);
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1);
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let index = 0; index < a.length; index++) sum += a[index] * b[index];
  return sum;
}
