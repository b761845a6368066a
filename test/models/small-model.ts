import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { CriterionContext } from '../../src/criteria/context.ts';
import type { ModelProto, TensorProto } from '../../src/formats/onnx/onnx-schema.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { createRandom, gaussian } from '../core/oracle.ts';
import { criterionContext, testFolder } from '../criteria/run-criterion.ts';
import { writeArray } from '../runtime/samples.ts';
import { elements, encode, type GraphParts, model, tensor } from './build-model.ts';

/** Gaussian float32 numbers. */
export function gaussians(count: number, seed: number): Float32Array<ArrayBuffer> {
  const random = createRandom(seed);
  return Float32Array.from({ length: count }, () => gaussian(random));
}

/** A stored tensor of Gaussian float32 numbers. */
export function gaussianTensor(name: string, dims: number[], seed: number): TensorProto {
  return tensor(name, dims, gaussians(elements(dims), seed));
}

/** A model, its one input `x` and the samples of it. */
export interface SmallModel extends GraphParts {
  readonly opset?: number;
  /** `[samples, ...]` */
  readonly xShape: number[];
  readonly x: Float32Array;
  /** Samples that the model takes at a time; any number where it is left out. */
  readonly batch?: number;
}

/** Writes model and samples to a folder of the test. The graph's outputs may be of any shape. */
export async function smallModelContext(t: TestContext, small: SmallModel): Promise<CriterionContext> {
  const folder = await testFolder(t);
  await writeFile(join(folder, 'model.onnx'), encode(smallModel(small)));
  const input = await writeArray(folder, 'x', 'float32', small.xShape, small.x);
  const samples = { nSamples: small.xShape[0], inputs: [input], labels: null };
  return criterionContext(await readStoredModel(folder, ['model.onnx']), folder, samples);
}

export function smallModel({ opset = 17, xShape, batch, ...parts }: SmallModel): ModelProto {
  const proto = model({ ...parts, inputs: [['x', xShape]] });
  proto.opsetImport[0].version = BigInt(opset);
  const type = proto.graph?.input[0].type?.value;
  const dim = type?.case === 'tensorType' ? type.value.shape?.dim[0] : undefined;
  if (!dim) throw new TypeError('the input has a shape');
  dim.value = batch ? { case: 'dimValue', value: BigInt(batch) } : { case: 'dimParam', value: 'n' };
  return proto;
}

/** Per feature of an axis: the sum of what `of` makes of its numbers, and their mean. */
export function reduceFeatures(
  values: ArrayLike<number>,
  shape: readonly number[],
  axis: number,
  of: (value: number) => number,
): { sums: number[]; means: number[] } {
  const size = shape[axis];
  const after = elements(shape.slice(axis + 1));
  const sums = Array<number>(size).fill(0);
  for (let i = 0; i < values.length; i++) sums[Math.floor(i / after) % size] += of(values[i]);
  return { sums, means: sums.map((sum) => (sum * size) / values.length) };
}

/** `a [m, k]` times `b [k, n]`, in float64. */
export function multiply(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  [m, k, n]: [number, number, number],
): number[] {
  return Array.from({ length: m * n }, (_, at) => {
    const [row, column] = [Math.floor(at / n), at % n];
    let sum = 0;
    for (let i = 0; i < k; i++) sum += a[row * k + i] * b[i * n + column];
    return sum;
  });
}

export function assertScores(
  found: Float64Array | undefined,
  expected: readonly number[],
  relative = 1e-6,
): void {
  assert.equal(found?.length, expected.length);
  for (const [i, score] of expected.entries()) {
    assert.ok(
      Math.abs(found[i] - score) <= relative * Math.abs(score),
      `element ${i}: ${found[i]}, not ${score}`,
    );
  }
}

/** `|w| * norm` of each element's feature. */
export const products = (
  w: ArrayLike<number>,
  norms: readonly number[],
  featureOf: (index: number) => number,
) => Array.from(w, (value, index) => Math.abs(value) * norms[featureOf(index)]);
