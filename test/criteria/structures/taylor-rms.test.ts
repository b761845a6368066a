import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { integers, node, tensor } from '../../models/build-model.ts';
import {
  CLASSES,
  gradientContext,
  HIDDEN,
  INPUTS,
  labels,
  N_SAMPLES,
  perceptron,
  perceptronContext,
  perceptronGradients,
  w2,
  x,
} from '../../models/perceptron.ts';
import { assertScores, gaussians, multiply, type SmallModel, smallModel } from '../../models/small-model.ts';
import { convolve } from '../convolve.ts';
import { criterionContext } from '../run-criterion.ts';
import { each, scoreFamilies } from './scored-families.ts';

/** Of gradients that are computed in float32. */
const TOLERANCE = 1e-4;

/** The perceptron with its second weight as it multiplies: `2 w2` transposed. */
const plain: Partial<SmallModel> = {
  nodes: [...perceptron.nodes.slice(0, 3), node('MatMul', ['r', 'matrix'], ['logits'])],
  initializers: [
    ...perceptron.initializers!.slice(0, 2),
    tensor(
      'matrix',
      [HIDDEN, CLASSES],
      Float32Array.from(w2, (_, i) => 2 * w2[(i % CLASSES) * HIDDEN + Math.floor(i / CLASSES)]),
    ),
  ],
};

async function contextOf(t: TestContext, change: Partial<SmallModel>, classIds = labels) {
  const { model, scratchDirectory, samples } = await perceptronContext(t, change, classIds);
  return criterionContext(model, scratchDirectory, samples);
}

/** By the chain rule: of every hidden unit, over the samples that count. */
function expectedOf(counts: (sample: number) => boolean): number[] {
  const gradients = perceptronGradients().w2.filter((_, sample) => counts(sample));
  return each(HIDDEN, (h) => {
    const changes = gradients.map((gradient) =>
      each(CLASSES, (c) => w2[c * HIDDEN + h] * gradient[c * HIDDEN + h]).reduce((sum, term) => sum + term),
    );
    return Math.sqrt(changes.reduce((sum, change) => sum + change ** 2, 0) / changes.length);
  });
}

describe('taylor_rms of structures', () => {
  test('rms over samples of what the weights that read a unit change the loss by', async (t) => {
    const scores = await scoreFamilies('taylor_rms', await contextOf(t, plain));
    assert.deepEqual([...scores.keys()], ['w1']);
    assertScores(
      scores.get('w1'),
      expectedOf(() => true),
      TOLERANCE,
    );
  });

  test('samples whose label does not count are left out', async (t) => {
    const counts = (sample: number) => sample % 3 !== 0;
    const some = labels.map((label, sample) => (counts(sample) ? label : -100n));
    const scores = await scoreFamilies('taylor_rms', await contextOf(t, plain, some));
    assertScores(scores.get('w1'), expectedOf(counts), TOLERANCE);
  });

  test('differences of the loss when all that reads a structure is scaled: convolutions in groups, and flattened', async (t) => {
    const n = 9;
    const [mix, grouped, head] = [gaussians(4 * 3, 1), gaussians(6 * 2 * 3, 2), gaussians(36 * 3, 3)];
    const images = gaussians(n * 3 * 8, 4);
    const classIds = BigInt64Array.from({ length: n }, (_, sample) => BigInt((sample * 5) % 3));
    const proto = smallModel({
      nodes: [
        ...[node('Conv', ['x', 'mix'], ['m']), node('Tanh', ['m'], ['tm'])],
        ...[node('Conv', ['tm', 'grouped'], ['g'], { group: 2 }), node('Tanh', ['g'], ['tg'])],
        ...[node('Flatten', ['tg'], ['flat']), node('MatMul', ['flat', 'head'], ['logits'])],
      ],
      initializers: [
        ...[tensor('mix', [4, 3, 1], mix), tensor('grouped', [6, 2, 3], grouped)],
        tensor('head', [36, 3], head),
      ],
      outputs: ['logits'],
      xShape: [n, 3, 8],
      x: images,
    });
    const { model, scratchDirectory, samples } = await gradientContext(
      t,
      proto,
      { shape: [n, 3, 8], data: images },
      { shape: [n], data: classIds },
    );
    const context = criterionContext(model, scratchDirectory, samples);
    const scores = await scoreFamilies('taylor_rms', context);

    const losses = (scaledGrouped: ArrayLike<number>, scaledHead: ArrayLike<number>) => {
      const m = convolve(images, mix, { n, c: 3, l: 8, m: 4, k: 1, groups: 1 }).map(Math.tanh);
      const g = convolve(m, scaledGrouped, { n, c: 4, l: 8, m: 6, k: 3, groups: 2 }).map(Math.tanh);
      const logits = multiply(g, scaledHead, [n, 36, 3]);
      return each(n, (sample) => {
        const own = logits.slice(3 * sample, 3 * sample + 3);
        const total = own.reduce((sum, value) => sum + Math.exp(value), 0);
        return Math.log(total) - own[Number(classIds[sample])];
      });
    };
    const rmsOf = (isRead: { grouped?: (at: number) => boolean; head?: (at: number) => boolean }) => {
      const step = 1e-4;
      const scaled = (
        numbers: Float32Array,
        factor: number,
        isScaled: (at: number) => boolean = () => false,
      ) => Float64Array.from(numbers, (number, at) => (isScaled(at) ? factor * number : number));
      const [above, below] = [1 + step, 1 - step].map((factor) =>
        losses(scaled(grouped, factor, isRead.grouped), scaled(head, factor, isRead.head)),
      );
      const squares = above.map((loss, sample) => ((loss - below[sample]) / (2 * step)) ** 2);
      return Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / n);
    };
    /** Of the flattened [6, 6]. */
    const channelOf = (at: number) => Math.floor(Math.floor(at / 3) / 6);
    assert.deepEqual([...scores.keys()].sort(), ['grouped', 'mix', 'mix#0']);
    assertScores(
      scores.get('mix'),
      each(2, (group) => rmsOf({ head: (at) => Math.floor(channelOf(at) / 3) === group })),
      TOLERANCE,
    );
    assertScores(
      scores.get('grouped'),
      each(3, (unit) => rmsOf({ head: (at) => channelOf(at) % 3 === unit })),
      TOLERANCE,
    );
    assertScores(
      scores.get('mix#0'),
      each(2, (place) => rmsOf({ grouped: (at) => Math.floor(at / 3) % 2 === place })),
      TOLERANCE,
    );
  });

  test('a weight that reads two families, each along an axis of its own', async (t) => {
    const [wide, mixed] = [gaussians(INPUTS * 6, 1), gaussians(3 * 2 * CLASSES, 2)];
    const context = await contextOf(t, {
      nodes: [
        ...[node('MatMul', ['x', 'wide'], ['flat']), node('Reshape', ['flat', 'shape'], ['split'])],
        node('Einsum', ['split', 'mixed'], ['logits'], { equation: 'nuv,uvc->nc' }),
      ],
      initializers: [
        ...[tensor('wide', [INPUTS, 6], wide), tensor('mixed', [3, 2, CLASSES], mixed)],
        integers('shape', [0, 3, 2]),
      ],
    });
    const h = multiply(x, wide, [N_SAMPLES, INPUTS, 6]);
    const logits = multiply(h, mixed, [N_SAMPLES, 6, CLASSES]);
    const rmsOf = (isMeant: (column: number) => boolean) => {
      let squares = 0;
      for (let sample = 0; sample < N_SAMPLES; sample++) {
        const own = logits.slice(sample * CLASSES, (sample + 1) * CLASSES);
        const total = own.reduce((sum, value) => sum + Math.exp(value), 0);
        const toLogits = own.map(
          (value, c) => Math.exp(value) / total - Number(BigInt(c) === labels[sample]),
        );
        let change = 0;
        for (let at = 0; at < mixed.length; at++) {
          const column = Math.floor(at / CLASSES);
          if (isMeant(column)) change += mixed[at] * h[sample * 6 + column] * toLogits[at % CLASSES];
        }
        squares += change ** 2;
      }
      return Math.sqrt(squares / N_SAMPLES);
    };
    const scores = await scoreFamilies('taylor_rms', context);
    assert.deepEqual([...scores.keys()], ['wide', 'wide#1']);
    assertScores(
      scores.get('wide'),
      each(3, (u) => rmsOf((column) => Math.floor(column / 2) === u)),
      TOLERANCE,
    );
    assertScores(
      scores.get('wide#1'),
      each(2, (v) => rmsOf((column) => column % 2 === v)),
      TOLERANCE,
    );
  });

  test('is refused past operators without a gradient', async (t) => {
    const without = await contextOf(t, {
      nodes: [
        ...[node('MatMul', ['x', 'w1'], ['h']), node('MatMul', ['h', 'matrix'], ['m'])],
        ...[node('Hardmax', ['m'], ['hard']), node('Mul', ['hard', 'm'], ['logits'])],
      ],
      initializers: plain.initializers!,
    });
    await assert.rejects(scoreFamilies('taylor_rms', without), {
      code: 'unsupported_model',
      findings: [{ path: 'Hardmax_hard', message: 'Hardmax has no gradient rule' }],
    });
  });
});
