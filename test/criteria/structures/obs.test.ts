import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { node, tensor } from '../../models/build-model.ts';
import { assertScores, gaussians, multiply, smallModelContext } from '../../models/small-model.ts';
import { convolve } from '../convolve.ts';
import { gramOf, range, removeGreedily, type System } from '../greedy-oracle.ts';
import { scoreFamilies } from './scored-families.ts';

/** Of products that onnxruntime forms in float32. */
const TOLERANCE = 1e-4;

/** What a layer sees that gets `inputs`, a row for each position, less their mean or as they are. */
function systemOf(
  inputs: readonly (readonly number[])[],
  weights: number[][],
  columns: number[][],
  isCentred: boolean,
): System {
  const means = inputs[0].map((_, i) => inputs.reduce((sum, row) => sum + row[i], 0) / inputs.length);
  const rows = isCentred ? inputs.map((row) => row.map((value, i) => value - means[i])) : inputs;
  const plain = gramOf(rows, 0);
  const damping = (0.01 * plain.reduce((sum, row, i) => sum + row[i], 0)) / plain.length;
  return { gram: gramOf(rows, damping), weights, columns };
}

/** Of each structure the root of what it adds, or of the most that one before it did. */
function expectedOf(...systems: System[]): number[] {
  const scores: number[] = [];
  let highest = 0;
  for (const { structure, increase } of removeGreedily(systems)) {
    highest = Math.max(highest, Math.sqrt(increase));
    scores[structure] = highest;
  }
  return scores;
}

const rowsOf = (numbers: ArrayLike<number>, width: number) =>
  range(numbers.length / width).map((row) => range(width).map((i) => numbers[row * width + i]));
const turned = (matrix: readonly (readonly number[])[]) =>
  matrix[0].map((_, i) => matrix.map((row) => row[i]));
const relu = (numbers: readonly number[]) => numbers.map((number) => Math.max(0, number));
const single = (count: number) => range(count).map((i) => [i]);

/** The patches of `x [n, c, l]` under a kernel, `[positions, c * kernel]`. */
function patchesOf(x: readonly number[], { n, c, l }: { n: number; c: number; l: number }, kernel: number) {
  return range(n * (l - kernel + 1)).map((at) => {
    const [sample, start] = [Math.floor(at / (l - kernel + 1)), at % (l - kernel + 1)];
    return range(c * kernel).map((i) => x[(sample * c + Math.floor(i / kernel)) * l + start + (i % kernel)]);
  });
}

describe('obs', () => {
  test('units of a perceptron: inputs of a layer with a bias less their mean, of one without as they are', async (t) => {
    const [w1, w2, w3] = [gaussians(4 * 6, 1), gaussians(5 * 6, 2), gaussians(5 * 3, 3)];
    const [b1, b2, x] = [gaussians(6, 4), gaussians(5, 5), gaussians(40 * 4, 6)];
    const context = await smallModelContext(t, {
      nodes: [
        ...[node('MatMul', ['x', 'w1'], ['xw']), node('Add', ['xw', 'b1'], ['h1'])],
        ...[node('Relu', ['h1'], ['r1']), node('Gemm', ['r1', 'w2', 'b2'], ['h2'], { transB: 1 })],
        ...[node('Relu', ['h2'], ['r2']), node('MatMul', ['r2', 'w3'], ['y'])],
      ],
      initializers: [
        ...[tensor('w1', [4, 6], w1), tensor('b1', [6], b1), tensor('w2', [5, 6], w2)],
        ...[tensor('b2', [5], b2), tensor('w3', [5, 3], w3)],
      ],
      outputs: ['y'],
      xShape: [40, 4],
      x,
    });
    const scores = await scoreFamilies('obs', context);
    const r1 = relu(multiply(x, w1, [40, 4, 6]).map((value, i) => value + b1[i % 6]));
    const second = turned(rowsOf(w2, 6));
    const r2 = relu(multiply(r1, second.flat(), [40, 6, 5]).map((value, i) => value + b2[i % 5]));
    const ofFirst = systemOf(rowsOf(r1, 6), rowsOf(w2, 6), single(6), true);
    const ofSecond = systemOf(rowsOf(r2, 5), turned(rowsOf(w3, 3)), single(5), false);
    assertScores(scores.get('w1'), expectedOf(ofFirst), TOLERANCE);
    assertScores(scores.get('w2'), expectedOf(ofSecond), TOLERANCE);
  });

  test('a residual sum that two convolutions and, flattened, a Gemm read: what each of them loses, added up', async (t) => {
    const [stem, inner, outer] = [gaussians(4 * 3 * 3, 1), gaussians(3 * 4 * 3, 2), gaussians(4 * 3, 3)];
    const [other, head, x] = [gaussians(2 * 4, 4), gaussians(2 * 12, 5), gaussians(25 * 3 * 8, 6)];
    const [shift, ones] = [gaussians(3, 7), new Float32Array(3).fill(1)];
    const context = await smallModelContext(t, {
      nodes: [
        ...[node('Conv', ['x', 'stem'], ['s']), node('Relu', ['s'], ['r'])],
        ...[node('Conv', ['r', 'inner'], ['i'], { pads: [1, 1] })],
        ...[node('BatchNormalization', ['i', 'ones', 'shift', 'shift', 'ones'], ['n'])],
        ...[node('Conv', ['n', 'outer'], ['o']), node('Add', ['r', 'o'], ['sum'])],
        ...[node('Conv', ['sum', 'other'], ['narrow'], { strides: [2] })],
        node('MaxPool', ['sum'], ['pooled'], { kernel_shape: [2], strides: [2] }),
        ...[node('Flatten', ['pooled'], ['flat']), node('Gemm', ['flat', 'head'], ['y'], { transB: 1 })],
      ],
      initializers: [
        ...[tensor('stem', [4, 3, 3], stem), tensor('inner', [3, 4, 3], inner)],
        ...[tensor('outer', [4, 3, 1], outer), tensor('other', [2, 4, 1], other)],
        ...[tensor('head', [2, 12], head), tensor('ones', [3], ones)],
        tensor('shift', [3], shift),
      ],
      outputs: ['y', 'narrow'],
      xShape: [25, 3, 8],
      x,
    });
    const scores = await scoreFamilies('obs', context, ({ name }) => name === 'stem');
    assert.equal(scores.get('stem')?.length, 4);
    const n = 25;
    const r = relu(convolve(x, stem, { n, c: 3, l: 8, m: 4, k: 3, groups: 1 }));
    const padded = rowsOf(r, 6).flatMap((row) => [0, ...row, 0]);
    const i = convolve(padded, inner, { n, c: 4, l: 8, m: 3, k: 3, groups: 1 });
    const normal = i.map((value, at) => {
      const c = Math.floor(at / 6) % 3;
      return (value - shift[c]) / Math.sqrt(1 + 1e-5) + shift[c];
    });
    const o = convolve(normal, outer, { n, c: 3, l: 6, m: 4, k: 1, groups: 1 });
    const sum = r.map((value, at) => value + o[at]);
    const everySecond = rowsOf(sum, 6).flatMap((row) => [row[0], row[2], row[4]]);
    const pooled = rowsOf(sum, 2).map(([a, b]) => Math.max(a, b));
    const wide = range(4).map((c) => range(3).map((k) => 3 * c + k));
    const expected = expectedOf(
      systemOf(patchesOf(padded, { n, c: 4, l: 8 }, 3), rowsOf(inner, 12), wide, true),
      systemOf(patchesOf(everySecond, { n, c: 4, l: 3 }, 1), rowsOf(other, 4), single(4), false),
      systemOf(rowsOf(pooled, 12), rowsOf(head, 12), wide, false),
    );
    assertScores(scores.get('stem'), expected, TOLERANCE);
  });

  test('places within the groups of a convolution: what all groups lose', async (t) => {
    const [mix, grouped, last] = [gaussians(6 * 3, 1), gaussians(4 * 3 * 2, 2), gaussians(2 * 4, 3)];
    const x = gaussians(30 * 3 * 5, 4);
    const context = await smallModelContext(t, {
      nodes: [
        ...[node('Conv', ['x', 'mix'], ['m']), node('Conv', ['m', 'grouped'], ['g'], { group: 2 })],
        node('Conv', ['g', 'last'], ['y']),
      ],
      initializers: [
        ...[tensor('mix', [6, 3, 1], mix), tensor('grouped', [4, 3, 2], grouped)],
        tensor('last', [2, 4, 1], last),
      ],
      outputs: ['y'],
      xShape: [30, 3, 5],
      x,
    });
    const scores = await scoreFamilies('obs', context);
    const m = convolve(x, mix, { n: 30, c: 3, l: 5, m: 6, k: 1, groups: 1 });
    const patches = patchesOf(m, { n: 30, c: 6, l: 5 }, 2);
    const places = range(3).map((c) => [2 * c, 2 * c + 1]);
    const groups = [0, 1].map((group) =>
      systemOf(
        patches.map((row) => row.slice(6 * group, 6 * group + 6)),
        rowsOf(grouped, 6).slice(2 * group, 2 * group + 2),
        places,
        false,
      ),
    );
    assertScores(scores.get('mix#0'), expectedOf(...groups), TOLERANCE);
  });

  test('layers that read the same, and a weight that two places share', async (t) => {
    const [w, a, b, x] = [gaussians(4 * 5, 1), gaussians(5 * 2, 2), gaussians(5 * 3, 3), gaussians(120, 4)];
    const context = await smallModelContext(t, {
      nodes: [
        ...[node('MatMul', ['x', 'w'], ['h']), node('Relu', ['h'], ['r'])],
        ...[node('MatMul', ['r', 'a'], ['ya']), node('MatMul', ['r', 'b'], ['yb'])],
        ...[node('Tanh', ['h'], ['t']), node('MatMul', ['t', 'b'], ['yt'])],
      ],
      initializers: [tensor('w', [4, 5], w), tensor('a', [5, 2], a), tensor('b', [5, 3], b)],
      outputs: ['ya', 'yb', 'yt'],
      xShape: [30, 4],
      x,
    });
    const scores = await scoreFamilies('obs', context);
    const h = multiply(x, w, [30, 4, 5]);
    const [r, tanh] = [rowsOf(relu(h), 5), rowsOf(h.map(Math.tanh), 5)];
    const expected = expectedOf(
      systemOf(r, turned(rowsOf(a, 2)), single(5), false),
      systemOf([...r, ...tanh], turned(rowsOf(b, 3)), single(5), false),
    );
    assertScores(scores.get('w'), expected, TOLERANCE);
  });

  test('of readers those count whose matrix is stored; a family without one is refused by name', async (t) => {
    const layers = {
      plainly: [node('Conv', ['r', 'plain'], ['plainly'])],
      scaledly: [node('Mul', ['up', 'scale'], ['scaled']), node('MatMul', ['scaled', 'r'], ['scaledly'])],
      backwards: [node('ConvTranspose', ['r', 'back'], ['backwards'])],
    };
    const contextOf = (readers: readonly (keyof typeof layers)[]) =>
      smallModelContext(t, {
        nodes: [
          ...[node('Conv', ['x', 'w'], ['h']), node('Relu', ['h'], ['r'])],
          ...readers.flatMap((reader) => layers[reader]),
        ],
        initializers: [
          ...[tensor('w', [3, 2, 1], gaussians(6, 1)), tensor('up', [2, 3], gaussians(6, 2))],
          ...[tensor('scale', [2, 3], gaussians(6, 3)), tensor('plain', [2, 3, 1], gaussians(6, 4))],
          tensor('back', [3, 2, 1], gaussians(6, 5)),
        ],
        outputs: [...readers],
        xShape: [12, 2, 4],
        x: gaussians(96, 6),
      });
    const alone = await scoreFamilies('obs', await contextOf(['plainly']));
    const beside = await scoreFamilies('obs', await contextOf(['plainly', 'scaledly', 'backwards']));
    assert.deepEqual([...(beside.get('w') ?? [])], [...(alone.get('w') ?? [])]);
    for (const [reader, reason] of [
      [
        'scaledly',
        'up: is one of the tensors that the matrix of node MatMul_scaledly (MatMul) is computed of',
      ],
      [
        'backwards',
        'back: is the weight of node ConvTranspose_backwards (ConvTranspose), which is no MatMul, Gemm or Conv',
      ],
    ] as const) {
      const message = `${reason}; exclude it or use criterion l2_norm`;
      await assert.rejects(scoreFamilies('obs', await contextOf([reader])), {
        code: 'unsupported_model',
        message: `criterion obs cannot score w: ${message}`,
        findings: [{ path: 'w', message }],
      });
    }
  });
});
