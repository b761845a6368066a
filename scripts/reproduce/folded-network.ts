import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { denseRange } from '../../src/formats/model.ts';
import {
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
  TensorProtoSchema,
} from '../../src/formats/onnx/onnx-schema.ts';
import type { ScoreArray } from '../../src/formats/score-file.ts';
import { type Network, openModel } from './network.ts';

/**
 * A network of float32 with every BatchNormalization folded into the convolution before it, as most exporters write it. Criterion `scores` scores its weights by what they were before.
 * @param folder gets a folder with the model
 */
export async function foldNetwork(network: Network, folder: string): Promise<Network> {
  const { directory, inventory } = network.model;
  const [file] = inventory.files;
  const proto = fromBinary(ModelProtoSchema, new Uint8Array(await readFile(join(directory, file))));
  foldBatchNorms(proto);
  const name = `${network.name}-folded`;
  await mkdir(join(folder, name));
  const path = join(folder, name, file);
  await writeFile(path, toBinary(ModelProtoSchema, proto));
  const scores = inventory.tensors.flatMap(({ name, shape, dtype, data, prunable }): ScoreArray[] => {
    const range = prunable ? denseRange(data) : null;
    if (range === null) return [];
    const { offset, byteLength } = range;
    return [{ name, shape, dtype, range: { path: join(directory, file), offset, byteLength } }];
  });
  return { ...network, ...(await openModel(path, file)), name, scores, golden: null };
}

function foldBatchNorms({ graph }: ModelProto): void {
  if (!graph) throw new TypeError('a model without a graph');
  const tensors = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  for (const { opType, input, output } of graph.node)
    if (opType === 'Identity') tensors.set(output[0], tensorOf(tensors, input[0]));
  const norms = graph.node.filter(({ opType }) => opType === 'BatchNormalization');
  for (const norm of norms) {
    const convolution = graph.node.find(({ output }) => output[0] === norm.input[0]);
    if (convolution?.opType !== 'Conv' || convolution.input.length !== 2)
      throw new TypeError(`${norm.name} follows no convolution without a bias`);
    const bias = fold(convolution, norm, tensors);
    graph.initializer.push(bias);
    convolution.input.push(bias.name);
    convolution.output[0] = norm.output[0];
  }
  graph.node = graph.node.filter((node) => !norms.includes(node));
}

/** Scales the filters in place, and returns their biases. */
function fold(
  convolution: NodeProto,
  norm: NodeProto,
  tensors: ReadonlyMap<string, TensorProto>,
): TensorProto {
  const [scale, shift, mean, variance] = norm.input.slice(1).map((name) => floatsOf(tensorOf(tensors, name)));
  const epsilon = norm.attribute.find(({ name }) => name === 'epsilon')?.f ?? 1e-5;
  const filters = tensorOf(tensors, convolution.input[1]);
  const weights = floatsOf(filters);
  const factors = Float64Array.from(scale, (value, i) => value / Math.sqrt(variance[i] + epsilon));
  const size = weights.length / factors.length;
  filters.rawData = bytesOf(weights.map((weight, i) => weight * factors[Math.floor(i / size)]));
  return create(TensorProtoSchema, {
    name: `${convolution.input[1]}.folded_bias`,
    dataType: filters.dataType,
    dims: [BigInt(factors.length)],
    rawData: bytesOf(Float32Array.from(factors, (factor, i) => shift[i] - mean[i] * factor)),
  });
}

function tensorOf(tensors: ReadonlyMap<string, TensorProto>, name: string): TensorProto {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new TypeError(`${name} is not stored`);
  return tensor;
}

function floatsOf({ rawData }: TensorProto): Float32Array {
  return new Float32Array(rawData.slice().buffer);
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array<ArrayBufferLike>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer, byteOffset, byteLength).slice();
}
