import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { describe, type TestContext, test } from 'node:test';
import { estimateTrace } from '../../src/autodiff/curvature.ts';
import type { GradientContext } from '../../src/autodiff/gradient-setup.ts';
import { accumulateGradients } from '../../src/autodiff/gradients.ts';
import { rademacher } from '../../src/autodiff/rademacher.ts';
import { RandomWords } from '../../src/core/random-words.ts';
import { node, tensor } from '../models/build-model.ts';
import { CLASSES, gradientContext, INPUTS, labels, N_SAMPLES, w1, x } from '../models/perceptron.ts';
import { gaussians, smallModel } from '../models/small-model.ts';

const weight = w1.slice(0, INPUTS * CLASSES);
const SIZE = weight.length;

/** Softmax regression: its Hessian is the mean of `(diag p - p p') x x'`. */
function regressionContext(t: TestContext): Promise<GradientContext> {
  const proto = smallModel({
    nodes: [node('MatMul', ['x', 'w'], ['logits'])],
    initializers: [tensor('w', [INPUTS, CLASSES], weight), tensor('unused', [5], gaussians(5, 6))],
    outputs: ['logits'],
    xShape: [N_SAMPLES, INPUTS],
    x,
  });
  return gradientContext(
    t,
    proto,
    { shape: [N_SAMPLES, INPUTS], data: x },
    { shape: [N_SAMPLES], data: labels },
  );
}

/** Row-major `[SIZE, SIZE]`, in float64. */
function regressionHessian(): Float64Array {
  const hessian = new Float64Array(SIZE * SIZE);
  for (let n = 0; n < N_SAMPLES; n++) {
    const row = x.subarray(n * INPUTS, (n + 1) * INPUTS);
    const exps = Array.from({ length: CLASSES }, (_, c) =>
      Math.exp(row.reduce((sum, value, i) => sum + value * weight[i * CLASSES + c], 0)),
    );
    const total = exps.reduce((sum, value) => sum + value, 0);
    for (let a = 0; a < SIZE; a++) {
      for (let b = 0; b < SIZE; b++) {
        const [p, q] = [exps[a % CLASSES] / total, exps[b % CLASSES] / total];
        const curvature = (a % CLASSES === b % CLASSES ? p : 0) - p * q;
        const inputs = row[Math.floor(a / CLASSES)] * row[Math.floor(b / CLASSES)];
        hessian[a * SIZE + b] += (curvature * inputs) / N_SAMPLES;
      }
    }
  }
  return hessian;
}

function quadraticForm(hessian: Float64Array, v: Float32Array): number {
  return hessian.reduce((sum, value, at) => sum + v[Math.floor(at / SIZE)] * value * v[at % SIZE], 0);
}

describe("Hutchinson's estimate", () => {
  test("is the mean of v' H v over vectors of signs, with its standard error", async (t) => {
    const counts: number[] = [];
    const context = { ...(await regressionContext(t)), onSamples: (count: number) => counts.push(count) };
    const { trace, standardError, products } = await estimateTrace(['w', 'unused'], 4, context, 7);
    const words = new RandomWords(7);
    const hessian = regressionHessian();
    const expected = Array.from({ length: 4 }, () => quadraticForm(hessian, rademacher(words, SIZE)));
    assert.equal(products.length, 4);
    for (const [i, product] of products.entries()) {
      assert.ok(Math.abs(product - expected[i]) <= 2e-6 * expected[i], `${product}, not ${expected[i]}`);
    }
    const mean = products.reduce((sum, value) => sum + value, 0) / 4;
    const squares = products.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    assert.ok(Math.abs(trace - mean) <= 1e-12 * mean);
    assert.ok(Math.abs(standardError! - Math.sqrt(squares / 12)) <= 1e-12 * mean);
    assert.deepEqual(counts, Array(4).fill([64, 6]).flat());
    assert.deepEqual(await readdir(context.scratchDirectory), []);
  });

  test('is within its standard error as often as it should be, over 20 seeds', async (t) => {
    const context = await regressionContext(t);
    const hessian = regressionHessian();
    const exact = hessian.reduce((sum, value, at) => sum + (at % (SIZE + 1) === 0 ? value : 0), 0);
    let [within, squares] = [0, 0];
    for (let seed = 1; seed <= 20; seed++) {
      const { trace, standardError } = await estimateTrace(['w'], 30, context, seed);
      const z = (trace - exact) / standardError!;
      within += Number(Math.abs(z) < 1);
      squares += z * z;
    }
    // Of 20 normal deviates 13.6 are expected within one standard error, and squares that sum to 20; bounds of 1 in 1000.
    assert.ok(within >= 7 && within <= 19, `${within} of 20`);
    assert.ok(squares > 5.9 && squares < 45.3, `${squares}`);
  });

  test('of one vector has no standard error, and is the same again', async (t) => {
    const context = await regressionContext(t);
    const once = await estimateTrace(['w'], 1, context);
    assert.equal(once.standardError, null);
    assert.deepEqual(await estimateTrace(['w'], 1, context), once);
  });

  test('of weights that the loss does not depend on is zero', async (t) => {
    const context = await regressionContext(t);
    const { trace, standardError } = await estimateTrace(['unused'], 2, context);
    assert.deepEqual([trace, standardError], [0, 0]);
  });
});

/** A smooth network, `mean tanh(x * k) W`, whose Conv leaves a row and a column of its image unread. */
async function convolutionContext(
  t: TestContext,
  kernel: Float32Array<ArrayBuffer>,
): Promise<GradientContext> {
  const [count, size] = [6, 8];
  const image = gaussians(count * size * size, 5);
  const shape = [count, 1, size, size];
  const proto = smallModel({
    nodes: [
      node('Conv', ['x', 'k'], ['c'], { kernel_shape: [3, 3], strides: [2, 2] }),
      node('Tanh', ['c'], ['h']),
      node('GlobalAveragePool', ['h'], ['p']),
      node('Flatten', ['p'], ['f']),
      node('MatMul', ['f', 'w'], ['logits']),
    ],
    initializers: [tensor('k', [2, 1, 3, 3], kernel), tensor('w', [2, 3], gaussians(6, 4))],
    outputs: ['logits'],
    xShape: shape,
    x: image,
  });
  const classIds = BigInt64Array.from({ length: count }, (_, i) => BigInt(i % 3));
  return gradientContext(t, proto, { shape, data: image }, { shape: [count], data: classIds });
}

test('a kernel whose gradient was cropped: as gradients at neighbouring kernels differ', async (t) => {
  const kernel = gaussians(18, 3);
  const { products } = await estimateTrace(['k'], 3, await convolutionContext(t, kernel), 7);
  const gradientAt = async (moved: Float32Array<ArrayBuffer>): Promise<Float64Array> => {
    const context = await convolutionContext(t, moved);
    for await (const { values } of accumulateGradients(['k'], 'mean', context)) return values;
    throw new Error('no gradient');
  };
  const words = new RandomWords(7);
  for (const product of products) {
    const v = rademacher(words, kernel.length);
    const difference = async (step: number) => {
      const ahead = await gradientAt(kernel.map((value, i) => value + step * v[i]));
      const behind = await gradientAt(kernel.map((value, i) => value - step * v[i]));
      return v.reduce((sum, sign, i) => sum + (sign * (ahead[i] - behind[i])) / (2 * step), 0);
    };
    // Of the two steps' errors, which go with their squares, nothing is left but the fourth power.
    const expected = (4 * (await difference(2 ** -7)) - (await difference(2 ** -6))) / 3;
    assert.ok(Math.abs(product / expected - 1) < 1e-3, `${product}, differences ${expected}`);
  }
});
