import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { GradientContext } from '../../src/autodiff/gradient-setup.ts';
import type { ModelProto } from '../../src/formats/onnx/onnx-schema.ts';
import { readStoredModel } from '../../src/graph/inventory.ts';
import { RUNTIME, testFolder } from '../criteria/run-criterion.ts';
import { writeArray } from '../runtime/samples.ts';
import { encode, integers, node, tensor } from './build-model.ts';
import { gaussians, type SmallModel, smallModel } from './small-model.ts';

/** A perceptron `relu(x W1 + b) W2` with cross-entropy, its samples and labels. */
export const [INPUTS, HIDDEN, CLASSES] = [4, 5, 3];
export const N_SAMPLES = 70;
export const x = gaussians(N_SAMPLES * INPUTS, 1);
export const w1 = gaussians(INPUTS * HIDDEN, 2);
export const b = gaussians(HIDDEN, 3);
export const w2 = gaussians(HIDDEN * CLASSES, 4);
export const labels = BigInt64Array.from({ length: N_SAMPLES }, (_, i) =>
  BigInt((i * 7 + (i % 4)) % CLASSES),
);

/** As a model; `w2` stands behind a transpose, a product and a reshape, so that its gradient is that of the stored tensor. */
export const perceptron: SmallModel = {
  nodes: [
    node('MatMul', ['x', 'w1'], ['h']),
    node('Add', ['h', 'b'], ['hb']),
    node('Relu', ['hb'], ['r']),
    node('Mul', ['w2', 'two'], ['scaled']),
    node('Transpose', ['scaled'], ['turned'], { perm: [1, 0] }),
    node('Reshape', ['turned', 'shape'], ['matrix']),
    node('MatMul', ['r', 'matrix'], ['logits']),
  ],
  initializers: [
    tensor('w1', [INPUTS, HIDDEN], w1),
    tensor('b', [HIDDEN], b),
    tensor('w2', [CLASSES, HIDDEN], w2),
    tensor('two', [], Float32Array.of(2)),
    tensor('unused', [2, 2], gaussians(4, 5)),
    integers('shape', [HIDDEN, CLASSES]),
  ],
  outputs: ['logits'],
  xShape: [N_SAMPLES, INPUTS],
  x,
};

/** Writes a model and labelled samples to a folder of the test. */
export async function gradientContext(
  t: TestContext,
  proto: ModelProto,
  inputs: { readonly shape: number[]; readonly data: Float32Array | Float16Array },
  given: { readonly shape: number[]; readonly data: BigInt64Array | Float32Array },
): Promise<GradientContext> {
  const folder = await testFolder(t);
  await writeFile(join(folder, 'model.onnx'), encode(proto));
  const [dtype, labelsDtype] = [
    inputs.data instanceof Float32Array ? 'float32' : 'float16',
    given.data instanceof Float32Array ? 'float32' : 'int64',
  ];
  return {
    model: await readStoredModel(folder, ['model.onnx']),
    scratchDirectory: await testFolder(t),
    samples: {
      nSamples: inputs.shape[0],
      inputs: [await writeArray(folder, 'x', dtype, inputs.shape, inputs.data)],
      labels: await writeArray(folder, 'labels', labelsDtype, given.shape, given.data),
    },
    runtime: RUNTIME,
    signal: new AbortController().signal,
    onSamples: () => {},
  };
}

export async function perceptronContext(
  t: TestContext,
  change: Partial<SmallModel> = {},
  classIds: BigInt64Array = labels,
): Promise<GradientContext> {
  const proto = smallModel({ ...perceptron, ...change });
  return gradientContext(
    t,
    proto,
    { shape: [N_SAMPLES, INPUTS], data: x },
    { shape: [N_SAMPLES], data: classIds },
  );
}

/** The gradient of every sample's cross-entropy with respect to the stored `w1` and `w2`, in float64 by the chain rule. */
export function perceptronGradients(): { w1: Float64Array[]; w2: Float64Array[] } {
  const found = { w1: [] as Float64Array[], w2: [] as Float64Array[] };
  for (let sample = 0; sample < N_SAMPLES; sample++) {
    const input = Array.from({ length: INPUTS }, (_, i) => x[sample * INPUTS + i]);
    const hidden = Array.from({ length: HIDDEN }, (_, h) =>
      input.reduce((sum, value, i) => sum + value * w1[i * HIDDEN + h], b[h]),
    );
    const rectified = hidden.map((value) => Math.max(0, value));
    const logits = Array.from({ length: CLASSES }, (_, c) =>
      rectified.reduce((sum, value, h) => sum + value * 2 * w2[c * HIDDEN + h], 0),
    );
    const total = logits.reduce((sum, value) => sum + Math.exp(value), 0);
    const toLogits = logits.map((value, c) => Math.exp(value) / total - Number(BigInt(c) === labels[sample]));
    const toHidden = hidden.map((value, h) =>
      value > 0 ? toLogits.reduce((sum, g, c) => sum + g * 2 * w2[c * HIDDEN + h], 0) : 0,
    );
    found.w2.push(
      Float64Array.from(w2, (_, at) => 2 * toLogits[Math.floor(at / HIDDEN)] * rectified[at % HIDDEN]),
    );
    found.w1.push(Float64Array.from(w1, (_, at) => input[Math.floor(at / HIDDEN)] * toHidden[at % HIDDEN]));
  }
  return found;
}

/** Per element over the samples for which `counts` is true. */
export function meanOf(gradients: readonly Float64Array[], counts: (sample: number) => boolean = () => true) {
  const counted = gradients.filter((_, sample) => counts(sample));
  return Float64Array.from(
    gradients[0],
    (_, i) => counted.reduce((sum, g) => sum + g[i], 0) / counted.length,
  );
}

export function rmsOf(gradients: readonly Float64Array[], counts: (sample: number) => boolean = () => true) {
  return meanOf(
    gradients.map((g) => g.map((value) => value * value)),
    counts,
  ).map(Math.sqrt);
}
