import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { WeightCriterion } from '../../src/recipe/criteria.ts';
import { integers, node, tensor } from '../models/build-model.ts';
import {
  assertScores,
  gaussians,
  reduceFeatures,
  type SmallModel,
  smallModelContext,
} from '../models/small-model.ts';
import { scoresOf } from './run-criterion.ts';

const N = 6;
const square = (value: number) => value * value;
const positive = (values: Float32Array) => values.map((value) => Math.max(0, value));
const squaresOf = (values: ArrayLike<number>, shape: readonly number[], axis: number) =>
  reduceFeatures(values, shape, axis, square).sums;

async function scoresOfW(t: TestContext, criterion: WeightCriterion, small: SmallModel) {
  const scores = await scoresOf(criterion, await smallModelContext(t, small), ['w']);
  return scores.get('w') ?? assert.fail('no scores of w');
}

/** `|w| * root of` what `squares` says of each element. */
const rooted = (w: Float32Array, squares: (element: number) => number) =>
  Array.from(w, (value, i) => Math.abs(value) * Math.sqrt(squares(i)));

describe('a weight of which parts multiply different values', () => {
  test('wanda: the rows of queries and those of keys and values of cross attention', async (t) => {
    const [x, w] = [gaussians(N * 3 * 4, 1), gaussians(12 * 4, 2)];
    const scores = await scoresOfW(t, 'wanda', {
      nodes: [
        node('Relu', ['x'], ['memory']),
        node('Split', ['w', 'sizes'], ['q', 'kv'], { axis: 0 }),
        node('Transpose', ['q'], ['qt'], { perm: [1, 0] }),
        node('Transpose', ['kv'], ['kvt'], { perm: [1, 0] }),
        node('MatMul', ['x', 'qt'], ['queries']),
        node('MatMul', ['memory', 'kvt'], ['both']),
        node('Split', ['both'], ['k', 'v'], { axis: -1 }),
        node('Transpose', ['k'], ['kt'], { perm: [0, 2, 1] }),
        node('MatMul', ['queries', 'kt'], ['products']),
        node('Softmax', ['products'], ['shares']),
        node('MatMul', ['shares', 'v'], ['y']),
      ],
      initializers: [tensor('w', [12, 4], w), integers('sizes', [4, 8])],
      outputs: ['y'],
      xShape: [N, 3, 4],
      x,
    });
    const [queries, memory] = [x, positive(x)].map((values) => squaresOf(values, [N, 3, 4], 2));
    assertScores(
      scores,
      rooted(w, (i) => (i < 4 * 4 ? queries : memory)[i % 4]),
    );
  });

  test('wanda: filters of two convolutions, and input features of two products', async (t) => {
    const [x, w] = [gaussians(N * 2 * 5, 1), gaussians(3 * 2 * 2, 2)];
    const small = {
      nodes: [
        node('Relu', ['x'], ['r']),
        node('Slice', ['w', 'zero', 'one', 'zero'], ['first']),
        node('Slice', ['w', 'one', 'many', 'zero'], ['others']),
        node('Conv', ['x', 'first'], ['y']),
        node('Conv', ['r', 'others'], ['z']),
      ],
      initializers: [
        ...[tensor('w', [3, 2, 2], w), integers('zero', [0]), integers('one', [1])],
        integers('many', [2 ** 40]),
      ],
      outputs: ['y', 'z'],
      xShape: [N, 2, 5],
      x,
    };
    const [own, other] = [x, positive(x)].map((values) => squaresOf(values, [N, 2, 5], 1));
    assertScores(
      await scoresOfW(t, 'wanda', small),
      rooted(w, (i) => (i < 4 ? own : other)[Math.floor(i / 2) % 2]),
    );
    const v = gaussians(10 * 2, 3);
    const features: SmallModel = {
      ...small,
      nodes: [
        node('Relu', ['x'], ['r']),
        node('Split', ['w'], ['top', 'bottom'], { axis: 0 }),
        node('MatMul', ['x', 'top'], ['a']),
        node('MatMul', ['r', 'bottom'], ['b']),
        node('Add', ['a', 'b'], ['y']),
      ],
      initializers: [tensor('w', [10, 2], v)],
      outputs: ['y'],
    };
    const [top, bottom] = [x, positive(x)].map((values) => squaresOf(values, [N, 2, 5], 2));
    assertScores(
      await scoresOfW(t, 'wanda', features),
      rooted(v, (i) => [...top, ...bottom][Math.floor(i / 2)]),
    );
  });

  test('wanda: the whole, and rows of it a second time', async (t) => {
    const [x, w] = [gaussians(N * 3, 1), gaussians(4 * 3, 2)];
    const scores = await scoresOfW(t, 'wanda', {
      nodes: [
        node('Relu', ['x'], ['r']),
        node('Gather', ['w', 'some'], ['part']),
        node('Gemm', ['x', 'w'], ['y'], { transB: 1 }),
        node('Gemm', ['r', 'part'], ['z'], { transB: 1 }),
      ],
      initializers: [tensor('w', [4, 3], w), integers('some', [3, -3])],
      outputs: ['y', 'z'],
      xShape: [N, 3],
      x,
    });
    const [whole, part] = [x, positive(x)].map((values) => squaresOf(values, [N, 3], 1));
    const isShared = (i: number) => [1, 3].includes(Math.floor(i / 3));
    assertScores(
      scores,
      rooted(w, (i) => whole[i % 3] + (isShared(i) ? part[i % 3] : 0)),
    );
  });

  test('activation: parts that give different numbers of positions, and a unit of two layers', async (t) => {
    const [x, w] = [gaussians(N * 4 * 3, 1), gaussians(2 * 3, 2)];
    const scores = await scoresOfW(t, 'activation', {
      nodes: [
        node('Slice', ['x', 'zero', 'one', 'one'], ['few']),
        node('Transpose', ['w'], ['wt']),
        node('Gather', ['wt', 'second'], ['part'], { axis: 1 }),
        node('MatMul', ['x', 'wt'], ['y']),
        node('MatMul', ['few', 'part'], ['z']),
      ],
      initializers: [
        ...[tensor('w', [2, 3], w), integers('zero', [0]), integers('one', [1])],
        integers('second', [1]),
      ],
      outputs: ['y', 'z'],
      xShape: [N, 4, 3],
      x,
    });
    const magnitude = (row: number, unit: number) =>
      Math.abs([0, 1, 2].reduce((sum, i) => sum + x[row * 3 + i] * w[unit * 3 + i], 0));
    const rows = Array.from({ length: N * 4 }, (_, row) => row);
    const firsts = rows.filter((row) => row % 4 === 0);
    const sum = (of: readonly number[], unit: number) =>
      of.reduce((total, row) => total + magnitude(row, unit), 0);
    const means = [sum(rows, 0) / rows.length, (sum(rows, 1) + sum(firsts, 1)) / (N * 5)];
    assertScores(
      scores,
      Array.from(w, (value, i) => Math.abs(value) * means[Math.floor(i / 3)]),
      1e-5,
    );
  });

  test('wanda refuses a weight of which no layer multiplies by a part', async (t) => {
    const small: SmallModel = {
      nodes: [
        node('Split', ['w'], ['used', 'added'], { axis: 0 }),
        node('MatMul', ['x', 'used'], ['a']),
        node('Add', ['a', 'added'], ['y']),
      ],
      initializers: [tensor('w', [6, 3], gaussians(18, 1))],
      outputs: ['y'],
      xShape: [3, 3],
      x: gaussians(9, 2),
      batch: 3,
    };
    await assert.rejects(scoresOfW(t, 'wanda', small), {
      code: 'unsupported_model',
      message:
        'criterion wanda cannot score w: MatMul_a (MatMul) multiply by some of its elements alone; exclude it or use criterion magnitude',
    });
  });
});
