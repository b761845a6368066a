import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { integers, node, tensor } from '../../models/build-model.ts';
import {
  assertScores,
  gaussians,
  multiply,
  reduceFeatures,
  type SmallModel,
  smallModelContext,
} from '../../models/small-model.ts';
import { convolve, spread } from '../convolve.ts';
import { each, scoreFamilies, sumOfSquares } from './scored-families.ts';

const CRITERIA = ['activation', 'wanda', 'variance'] as const;
/** Of sums that onnxruntime forms of float32 activations. */
const TOLERANCE = 1e-5;

const relu = (numbers: readonly number[]) => numbers.map((number) => Math.max(0, number));
const meansOf = (numbers: readonly number[], shape: number[], axis: number) =>
  reduceFeatures(numbers, shape, axis, Math.abs).means;
const squaresOf = (numbers: readonly number[], shape: number[], axis: number) =>
  reduceFeatures(numbers, shape, axis, (number) => number * number).sums;

/** In two passes, unlike the criterion. */
function variancesOf(numbers: readonly number[], shape: number[], axis: number): number[] {
  const { means } = reduceFeatures(numbers, shape, axis, (number) => number);
  const after = shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  const centred = numbers.map((number, i) => number - means[Math.floor(i / after) % shape[axis]]);
  return reduceFeatures(centred, shape, axis, (number) => number * number).means;
}

async function scoresBy(t: TestContext, small: SmallModel) {
  const context = await smallModelContext(t, small);
  const scores = { activation: new Map(), wanda: new Map(), variance: new Map() };
  for (const criterion of CRITERIA) scores[criterion] = await scoreFamilies(criterion, context);
  return scores;
}

describe('criteria by activations', () => {
  test('a perceptron of MatMul [in, out], Gemm with transB and Gemm', async (t) => {
    const [w1, w2, w3] = [gaussians(4 * 5, 1), gaussians(7 * 5, 2), gaussians(7 * 3, 3)];
    const [b1, b2, x] = [gaussians(5, 4), gaussians(7, 5), gaussians(6 * 4, 6)];
    const scores = await scoresBy(t, {
      nodes: [
        ...[node('MatMul', ['x', 'w1'], ['xw']), node('Add', ['xw', 'b1'], ['h1'])],
        ...[node('Relu', ['h1'], ['r1']), node('Gemm', ['r1', 'w2', 'b2'], ['h2'], { transB: 1 })],
        ...[node('Relu', ['h2'], ['r2']), node('Gemm', ['r2', 'w3'], ['y'])],
      ],
      initializers: [
        ...[tensor('w1', [4, 5], w1), tensor('b1', [5], b1), tensor('w2', [7, 5], w2)],
        ...[tensor('b2', [7], b2), tensor('w3', [7, 3], w3)],
      ],
      outputs: ['y'],
      xShape: [6, 4],
      x,
    });
    const turned = Float32Array.from({ length: 35 }, (_, i) => w2[(i % 7) * 5 + Math.floor(i / 7)]);
    const h1 = multiply(x, w1, [6, 4, 5]).map((value, i) => value + b1[i % 5]);
    const h2 = multiply(relu(h1), turned, [6, 5, 7]).map((value, i) => value + b2[i % 7]);
    assertScores(scores.activation.get('w1'), meansOf(h1, [6, 5], 1), TOLERANCE);
    assertScores(scores.activation.get('w2'), meansOf(h2, [6, 7], 1), TOLERANCE);
    const [read1, read2] = [
      (u: number) => (i: number) => i % 5 === u,
      (u: number) => (i: number) => Math.floor(i / 3) === u,
    ];
    const [squares1, squares2] = [squaresOf(relu(h1), [6, 5], 1), squaresOf(relu(h2), [6, 7], 1)];
    assertScores(
      scores.wanda.get('w1'),
      each(5, (u) => Math.sqrt(squares1[u] * sumOfSquares(w2, read1(u)))),
      TOLERANCE,
    );
    assertScores(
      scores.wanda.get('w2'),
      each(7, (u) => Math.sqrt(squares2[u] * sumOfSquares(w3, read2(u)))),
      TOLERANCE,
    );
    const [variances1, variances2] = [variancesOf(relu(h1), [6, 5], 1), variancesOf(relu(h2), [6, 7], 1)];
    assertScores(
      scores.variance.get('w1'),
      each(5, (u) => variances1[u] * sumOfSquares(w2, read1(u))),
      TOLERANCE,
    );
    assertScores(
      scores.variance.get('w2'),
      each(7, (u) => variances2[u] * sumOfSquares(w3, read2(u))),
      TOLERANCE,
    );
  });

  test('a residual sum of convolutions, read by another one and, flattened, by a Gemm', async (t) => {
    const sizes = { n: 3, c: 6, l: 5, m: 6, k: 1, groups: 1 };
    const [stem, inner, outer] = [gaussians(6 * 4 * 3, 1), gaussians(5 * 6, 2), gaussians(6 * 5, 3)];
    const [head, x] = [gaussians(2 * 30, 4), gaussians(3 * 4 * 7, 5)];
    const scores = await scoresBy(t, {
      nodes: [
        ...[node('Conv', ['x', 'stem'], ['s']), node('Relu', ['s'], ['r'])],
        ...[node('Conv', ['r', 'inner'], ['i']), node('Relu', ['i'], ['ri'])],
        ...[node('Conv', ['ri', 'outer'], ['o']), node('Add', ['r', 'o'], ['sum'])],
        ...[node('Flatten', ['sum'], ['flat']), node('Gemm', ['flat', 'head'], ['y'], { transB: 1 })],
      ],
      initializers: [
        ...[tensor('stem', [6, 4, 3], stem), tensor('inner', [5, 6, 1], inner)],
        ...[tensor('outer', [6, 5, 1], outer), tensor('head', [2, 30], head)],
      ],
      outputs: ['y'],
      xShape: [3, 4, 7],
      x,
    });
    const s = convolve(x, stem, { n: 3, c: 4, l: 7, m: 6, k: 3, groups: 1 });
    const i = relu(convolve(relu(s), inner, { ...sizes, m: 5 }));
    const o = convolve(i, outer, { ...sizes, c: 5 });
    const sum = relu(s).map((value, at) => value + o[at]);
    const shape = [3, 6, 5];
    const [meansS, meansO] = [meansOf(s, shape, 1), meansOf(o, shape, 1)];
    assertScores(
      scores.activation.get('stem'),
      each(6, (c) => meansS[c] + meansO[c]),
      TOLERANCE,
    );
    const readBy = (factors: { inner: number[]; head: number[] }) =>
      each(6, (c) => {
        const byInner = factors.inner[c] * sumOfSquares(inner, (at) => at % 6 === c);
        const isRead = (at: number) => Math.floor((at % 30) / 5) === c;
        return byInner + sumOfSquares(head, isRead, (at) => factors.head[at % 30]);
      });
    const squares = { inner: squaresOf(relu(s), shape, 1), head: squaresOf(sum, [3, 30], 1) };
    assertScores(scores.wanda.get('stem'), readBy(squares).map(Math.sqrt), TOLERANCE);
    const variances = { inner: variancesOf(relu(s), shape, 1), head: variancesOf(sum, [3, 30], 1) };
    assertScores(scores.variance.get('stem'), readBy(variances), TOLERANCE);
    const [squaresI, variancesI] = [squaresOf(i, [3, 5, 5], 1), variancesOf(i, [3, 5, 5], 1)];
    const isRead = (c: number) => (at: number) => at % 5 === c;
    assertScores(
      scores.wanda.get('inner'),
      each(5, (c) => Math.sqrt(squaresI[c] * sumOfSquares(outer, isRead(c)))),
      TOLERANCE,
    );
    assertScores(
      scores.variance.get('inner'),
      each(5, (c) => variancesI[c] * sumOfSquares(outer, isRead(c))),
      TOLERANCE,
    );
  });

  test('places within the groups of a convolution, and those that all groups of a transposed one share', async (t) => {
    const [mix, grouped, turned] = [gaussians(4 * 3, 1), gaussians(6 * 2 * 3, 2), gaussians(6 * 2 * 2, 3)];
    const [last, x] = [gaussians(3 * 4, 4), gaussians(2 * 3 * 8, 5)];
    const scores = await scoresBy(t, {
      nodes: [
        ...[node('Conv', ['x', 'mix'], ['m']), node('Conv', ['m', 'grouped'], ['g'], { group: 2 })],
        ...[node('ConvTranspose', ['g', 'turned'], ['t'], { group: 2 }), node('Conv', ['t', 'last'], ['y'])],
      ],
      initializers: [
        ...[tensor('mix', [4, 3, 1], mix), tensor('grouped', [6, 2, 3], grouped)],
        ...[tensor('turned', [6, 2, 2], turned), tensor('last', [3, 4, 1], last)],
      ],
      outputs: ['y'],
      xShape: [2, 3, 8],
      x,
    });
    const m = convolve(x, mix, { n: 2, c: 3, l: 8, m: 4, k: 1, groups: 1 });
    const g = convolve(m, grouped, { n: 2, c: 4, l: 8, m: 6, k: 3, groups: 2 });
    const y = spread(g, turned, { n: 2, c: 6, l: 6, m: 4, k: 2, groups: 2 });
    const squaresM = squaresOf(m, [2, 4, 8], 1);
    /** Unit u reads the channels of its own group. */
    const channelOf = (at: number) => Math.floor(at / 18) * 2 + (Math.floor(at / 3) % 2);
    assertScores(
      scores.wanda.get('mix#0'),
      each(2, (c) =>
        Math.sqrt(
          sumOfSquares(
            grouped,
            (at) => Math.floor(at / 3) % 2 === c,
            (at) => squaresM[channelOf(at)],
          ),
        ),
      ),
      TOLERANCE,
    );
    const means = meansOf(y, [2, 4, 7], 1);
    assertScores(
      scores.activation.get('turned'),
      each(2, (u) => means[u] + means[2 + u]),
      TOLERANCE,
    );
  });

  test('a weight that several layers share: over all its places', async (t) => {
    const [w1, w2, x] = [gaussians(4 * 5, 1), gaussians(5 * 3, 2), gaussians(6 * 4, 3)];
    const scores = await scoresBy(t, {
      nodes: [
        ...[node('MatMul', ['x', 'w1'], ['a']), node('Tanh', ['a'], ['ta'])],
        ...[node('Neg', ['x'], ['nx']), node('MatMul', ['nx', 'w1'], ['b']), node('Relu', ['b'], ['rb'])],
        ...[node('MatMul', ['ta', 'w2'], ['ya']), node('MatMul', ['rb', 'w2'], ['yb'])],
        node('Sum', ['ya', 'yb'], ['y']),
      ],
      initializers: [tensor('w1', [4, 5], w1), tensor('w2', [5, 3], w2)],
      outputs: ['y'],
      xShape: [6, 4],
      x,
    });
    const a = multiply(x, w1, [6, 4, 5]);
    const read = [...a.map(Math.tanh), ...relu(a.map((value) => -value))];
    const [squares, variances] = [squaresOf(read, [12, 5], 1), variancesOf(read, [12, 5], 1)];
    const isRead = (u: number) => (at: number) => Math.floor(at / 3) === u;
    assertScores(scores.activation.get('w1'), meansOf(a, [6, 5], 1), TOLERANCE);
    assertScores(
      scores.wanda.get('w1'),
      each(5, (u) => Math.sqrt(squares[u] * sumOfSquares(w2, isRead(u)))),
      TOLERANCE,
    );
    assertScores(
      scores.variance.get('w1'),
      each(5, (u) => variances[u] * sumOfSquares(w2, isRead(u))),
      TOLERANCE,
    );
  });

  test('families that no weight reads, or whose layers cannot be looked at, are refused by name', async (t) => {
    const unread = await smallModelContext(t, {
      nodes: [
        ...[node('MatMul', ['x', 'w'], ['h']), node('Abs', ['h'], ['a'])],
        node('ReduceSum', ['a', 'axes'], ['y'], { keepdims: 0 }),
      ],
      initializers: [tensor('w', [4, 5], gaussians(20, 1)), integers('axes', [1])],
      outputs: ['y'],
      xShape: [3, 4],
      x: gaussians(12, 2),
    });
    const message = 'it is read without weights; exclude it or use criterion l2_norm';
    for (const criterion of ['wanda', 'variance'] as const) {
      await assert.rejects(scoreFamilies(criterion, unread), {
        code: 'unsupported_model',
        message: `criterion ${criterion} cannot score w: ${message}`,
        findings: [{ path: 'w', message }],
      });
    }
    assert.equal((await scoreFamilies('activation', unread)).size, 1);

    const recurrent = await smallModelContext(t, {
      nodes: [
        node('LSTM', ['x', 'W', 'R'], ['', 'h'], { hidden_size: 4 }),
        node('Squeeze', ['h', 'axes'], ['s']),
        node('MatMul', ['s', 'w'], ['y']),
      ],
      initializers: [
        ...[tensor('W', [1, 16, 3], gaussians(48, 1)), tensor('R', [1, 16, 4], gaussians(64, 2))],
        ...[tensor('w', [4, 2], gaussians(8, 3))],
        integers('axes', [0]),
      ],
      outputs: ['y'],
      xShape: [5, 2, 3],
      x: gaussians(30, 4),
      batch: 5,
    });
    await assert.rejects(scoreFamilies('activation', recurrent), {
      code: 'unsupported_model',
      message: /^criterion activation cannot score \S+: \S+: node LSTM_.* keeps what the weight gives inside/,
    });
  });

  test('hidden units of experts that a router chooses: over what reaches each expert', async (t) => {
    const [n, experts, inner, hidden, outputs] = [14, 3, 4, 5, 2];
    const [x, g] = [gaussians(n * inner, 1), gaussians(inner * experts, 2)];
    const [up, down] = [gaussians(experts * inner * hidden, 3), gaussians(experts * hidden * outputs, 4)];
    const scores = await scoresBy(t, {
      nodes: [
        node('MatMul', ['x', 'g'], ['logits']),
        node('TopK', ['logits', 'two'], ['top', 'index']),
        node('Gather', ['up', 'index'], ['u']),
        node('Unsqueeze', ['x', 'axes'], ['xs']),
        node('MatMul', ['xs', 'u'], ['h']),
        node('Relu', ['h'], ['r']),
        node('Gather', ['down', 'index'], ['d']),
        node('MatMul', ['r', 'd'], ['y']),
      ],
      initializers: [
        ...[tensor('g', [inner, experts], g), tensor('up', [experts, inner, hidden], up)],
        ...[tensor('down', [experts, hidden, outputs], down), integers('two', [2])],
        integers('axes', [1, 2]),
      ],
      outputs: ['y'],
      xShape: [n, inner],
      x,
    });
    const logits = multiply(x, g, [n, inner, experts]);
    const reaching = each(experts, (e) => e).map((e) =>
      each(n, (sample) => sample).filter(
        (sample) =>
          logits[sample * experts + e] > Math.min(...logits.slice(sample * experts, (sample + 1) * experts)),
      ),
    );
    const hiddenOf = reaching.map((samples, e) => {
      const own = up.slice(e * inner * hidden, (e + 1) * inner * hidden);
      const rows = Float32Array.from(
        samples.flatMap((sample) => [...x.slice(sample * inner, (sample + 1) * inner)]),
      );
      return multiply(rows, own, [samples.length, inner, hidden]);
    });
    const total = (of: (e: number) => number) => each(experts, of).reduce((sum, value) => sum + value, 0);
    const shapeOf = (e: number) => [reaching[e].length, hidden];
    const read = (e: number, unit: number) =>
      sumOfSquares(down, (i) => Math.floor(i / outputs) === e * hidden + unit);
    const expected = {
      activation: (unit: number) => total((e) => meansOf(hiddenOf[e], shapeOf(e), 1)[unit]),
      wanda: (unit: number) =>
        Math.sqrt(total((e) => squaresOf(relu(hiddenOf[e]), shapeOf(e), 1)[unit] * read(e, unit))),
      variance: (unit: number) =>
        total((e) => variancesOf(relu(hiddenOf[e]), shapeOf(e), 1)[unit] * read(e, unit)),
    };
    for (const criterion of CRITERIA)
      assertScores(scores[criterion].get('up'), each(hidden, expected[criterion]), TOLERANCE);
  });
});
