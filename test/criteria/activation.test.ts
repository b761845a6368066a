import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { floats, node, tensor } from '../models/build-model.ts';
import {
  assertScores,
  gaussians,
  multiply,
  products,
  reduceFeatures,
  type SmallModel,
  smallModelContext,
} from '../models/small-model.ts';
import { convolve, spread } from './convolve.ts';
import { scoresOf } from './run-criterion.ts';

const activation = async (t: TestContext, small: SmallModel) =>
  scoresOf('activation', await smallModelContext(t, small));

const meansOf = (values: ArrayLike<number>, shape: readonly number[], axis: number) =>
  reduceFeatures(values, shape, axis, Math.abs).means;

describe('activation: weight times mean magnitude of the output unit', () => {
  test('MatMul with its bias, MatMul on the left, Gemm with its own bias', async (t) => {
    const [x, w, v, u] = [gaussians(6 * 4, 1), gaussians(4 * 3, 2), gaussians(5 * 6, 3), gaussians(3 * 4, 4)];
    const b = gaussians(3, 5);
    const scores = await activation(t, {
      nodes: [
        node('MatMul', ['x', 'w'], ['xw']),
        node('Add', ['xw', 'b'], ['y']),
        node('MatMul', ['v', 'x'], ['z']),
        node('Gemm', ['x', 'u', 'b'], ['q'], { transB: 1 }),
      ],
      initializers: [
        ...[tensor('w', [4, 3], w), tensor('v', [5, 6], v)],
        ...[tensor('u', [3, 4], u), tensor('b', [3], b)],
      ],
      outputs: ['y', 'z', 'q'],
      xShape: [6, 4],
      x,
      batch: 6,
    });
    const turned = Float32Array.from({ length: 12 }, (_, i) => u[(i % 3) * 4 + Math.floor(i / 3)]);
    const biased = (product: number[]) => product.map((value, i) => value + b[i % 3]);
    const y = biased(multiply(x, w, [6, 4, 3]));
    const q = biased(multiply(x, turned, [6, 4, 3]));
    const z = multiply(v, x, [5, 6, 4]);
    assertScores(
      scores.get('w'),
      products(w, meansOf(y, [6, 3], 1), (i) => i % 3),
    );
    assertScores(
      scores.get('u'),
      products(u, meansOf(q, [6, 3], 1), (i) => Math.floor(i / 4)),
    );
    assertScores(
      scores.get('v'),
      products(v, meansOf(z, [5, 4], 0), (i) => Math.floor(i / 6)),
    );
  });

  test('Conv and ConvTranspose in groups', async (t) => {
    const shape = { n: 3, c: 4, l: 7, m: 6, k: 3, groups: 2 };
    const [x, w, v] = [gaussians(3 * 4 * 7, 1), gaussians(6 * 2 * 3, 2), gaussians(4 * 3 * 3, 3)];
    const scores = await activation(t, {
      nodes: [
        node('Conv', ['x', 'w'], ['y'], { group: 2 }),
        node('ConvTranspose', ['x', 'v'], ['z'], { group: 2 }),
      ],
      initializers: [tensor('w', [6, 2, 3], w), tensor('v', [4, 3, 3], v)],
      outputs: ['y', 'z'],
      xShape: [3, 4, 7],
      x,
    });
    const y = meansOf(convolve(x, w, shape), [3, 6, 5], 1);
    const z = meansOf(spread(x, v, shape), [3, 6, 9], 1);
    assertScores(
      scores.get('w'),
      products(w, y, (i) => Math.floor(i / 6)),
      1e-5,
    );
    assertScores(
      scores.get('v'),
      products(v, z, (i) => Math.floor(i / 18) * 3 + (Math.floor(i / 3) % 3)),
      1e-5,
    );
  });

  test('a shared weight: the mean over all its uses', async (t) => {
    const [x, w] = [gaussians(6 * 4, 1), gaussians(4 * 4, 2)];
    const scores = await activation(t, {
      nodes: [node('MatMul', ['x', 'w'], ['h']), node('MatMul', ['h', 'w'], ['y'])],
      initializers: [tensor('w', [4, 4], w)],
      outputs: ['y'],
      xShape: [6, 4],
      x,
    });
    const h = multiply(x, w, [6, 4, 4]);
    const second = meansOf(multiply(h, w, [6, 4, 4]), [6, 4], 1);
    const means = meansOf(h, [6, 4], 1).map((mean, i) => (mean + second[i]) / 2);
    assertScores(
      scores.get('w'),
      products(w, means, (i) => i % 4),
    );
  });

  test('gates of an LSTM are refused', async (t) => {
    const context = await smallModelContext(t, {
      nodes: [node('LSTM', ['x', 'W', 'R'], ['y'], { hidden_size: 2 })],
      initializers: [floats('W', [1, 8, 3]), floats('R', [1, 8, 2])],
      outputs: ['y'],
      xShape: [1, 1, 3],
      x: gaussians(3, 1),
    });
    await assert.rejects(scoresOf('activation', context), {
      code: 'unsupported_model',
      message:
        'criterion activation cannot score W: node LSTM_y (LSTM) keeps what the weight gives inside the operator; exclude it or use criterion magnitude (and 1 more)',
    });
  });
});
