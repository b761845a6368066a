import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toBinary } from '@bufbuild/protobuf';
import { createGaussian } from '../../../bench/gaussian.ts';
import { ModelProtoSchema } from '../../../src/formats/onnx/onnx-schema.ts';
import type { SampleSet } from '../../../src/formats/sample-set.ts';
import { node, tensor, value } from '../../models/build-model.ts';
import { runnableModel } from '../../models/runtime-model.ts';
import { writeArray } from '../../runtime/samples.ts';

export const WIDTH = 24;

/** Weights `[WIDTH, WIDTH]`, a row for each output. */
export interface SquareLayer {
  readonly weights: Float32Array<ArrayBuffer>;
  readonly bias: Float32Array<ArrayBuffer>;
}

const gaussian = (seed: number, length: number, scale: number) => {
  const numbers = new Float32Array(length);
  createGaussian(seed)(numbers);
  return numbers.map((number) => number * scale);
};

export function squareLayers(count: number): SquareLayer[] {
  return Array.from({ length: count }, (_, layer) => ({
    weights: gaussian(2 * layer + 1, WIDTH * WIDTH, Math.sqrt(2 / WIDTH)),
    bias: gaussian(2 * layer + 2, WIDTH, 0.1),
  }));
}

/** The layer with every weight gone whose index gives no remainder by `by`. */
export function masked(layer: SquareLayer, by: number): SquareLayer {
  return { ...layer, weights: layer.weights.map((weight, i) => (i % by === 0 ? 0 : weight)) };
}

export function transposed(weights: Float32Array): Float32Array<ArrayBuffer> {
  return Float32Array.from(weights, (_, i) => weights[(i % WIDTH) * WIDTH + Math.floor(i / WIDTH)]);
}

/**
 * A perceptron of Gemm and Relu, from `x` to `y`.
 * @param names of the layers' weights, in the order of the layers
 * @param hidden what names of hidden values begin with
 * @param isTurned stores weights `[in, out]`, for the same function
 */
export function squareModel(
  layers: readonly SquareLayer[],
  { names = layers.map((_, layer) => `w${layer}`), isTurned = false, hidden = 'h' } = {},
): Uint8Array {
  const last = layers.length - 1;
  const nodes = layers.flatMap((_, layer) => {
    const [from, to] = [layer === 0 ? 'x' : `${hidden}${layer}`, layer === last ? 'y' : `${hidden}z${layer}`];
    const gemm = node('Gemm', [from, names[layer], `b${names[layer]}`], [to], { transB: isTurned ? 0 : 1 });
    return layer === last ? [gemm] : [gemm, node('Relu', [to], [`${hidden}${layer + 1}`])];
  });
  const initializers = layers.flatMap(({ weights, bias }, layer) => [
    tensor(names[layer], [WIDTH, WIDTH], isTurned ? transposed(weights) : weights),
    tensor(`b${names[layer]}`, [WIDTH], bias),
  ]);
  const model = runnableModel({
    inputs: [value('x', ['batch', WIDTH])],
    outputs: [value('y', ['batch', WIDTH])],
    nodes,
    initializers,
  });
  return toBinary(ModelProtoSchema, model);
}

/** Samples with labels of any class. */
export async function squareSamples(
  nSamples = 100,
): Promise<AsyncDisposable & { readonly samples: SampleSet }> {
  const directory = await mkdtemp(join(tmpdir(), 'emp-square-'));
  const labels = BigInt64Array.from({ length: nSamples }, (_, sample) => BigInt(sample % WIDTH));
  const inputs = gaussian(99, nSamples * WIDTH, 1);
  return {
    samples: {
      nSamples,
      inputs: [await writeArray(directory, 'x', 'float32', [nSamples, WIDTH], inputs)],
      labels: await writeArray(directory, 'labels', 'int64', [nSamples], labels),
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}
