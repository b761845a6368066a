import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { node, tensor } from '../../models/build-model.ts';
import { assertScores, gaussians, type SmallModel, smallModelContext } from '../../models/small-model.ts';
import { each, familiesOf, scoreFamilies } from './scored-families.ts';

/** A BatchNormalization of `channels`, its scale a stored tensor `<output>.gamma`. */
function batchNorm(input: string, output: string, channels: number, seed: number) {
  const gamma = gaussians(channels, seed);
  const names = ['gamma', 'beta', 'mean', 'var'].map((part) => `${output}.${part}`);
  return {
    gamma,
    node: node('BatchNormalization', [input, ...names], [output]),
    initializers: names.map((name, i) =>
      tensor(name, [channels], i === 0 ? gamma : new Float32Array(channels).fill(1)),
    ),
  };
}

const bnGamma = async (t: TestContext, small: SmallModel) =>
  scoreFamilies('bn_gamma', await smallModelContext(t, small));

describe('bn_gamma: of the BatchNormalization behind a layer', () => {
  test('its magnitude; of several that a sum couples the root mean square', async (t) => {
    const stem = batchNorm('s', 'sb', 6, 1);
    const inner = batchNorm('i', 'ib', 5, 2);
    const outer = batchNorm('o', 'ob', 6, 3);
    const scores = await bnGamma(t, {
      nodes: [
        ...[node('Conv', ['x', 'stem'], ['s']), stem.node, node('Relu', ['sb'], ['r'])],
        ...[node('Conv', ['r', 'inner'], ['i']), inner.node, node('Relu', ['ib'], ['ri'])],
        ...[node('Conv', ['ri', 'outer'], ['o']), outer.node, node('Add', ['r', 'ob'], ['sum'])],
        node('Conv', ['sum', 'last'], ['y']),
      ],
      initializers: [
        ...[tensor('stem', [6, 3, 3], gaussians(54, 4)), tensor('inner', [5, 6, 1], gaussians(30, 5))],
        ...[tensor('outer', [6, 5, 1], gaussians(30, 6)), tensor('last', [2, 6, 1], gaussians(12, 7))],
        ...[stem, inner, outer].flatMap(({ initializers }) => initializers),
      ],
      outputs: ['y'],
      xShape: [2, 3, 5],
      x: gaussians(30, 8),
    });
    assertScores(
      scores.get('stem'),
      each(6, (c) => Math.sqrt((stem.gamma[c] ** 2 + outer.gamma[c] ** 2) / 2)),
    );
    assertScores(
      scores.get('inner'),
      each(5, (c) => Math.abs(inner.gamma[c])),
    );
  });

  test('a layer without one beside a layer with one, and a Gemm', async (t) => {
    const behind = batchNorm('a', 'ab', 4, 1);
    const scores = await bnGamma(t, {
      nodes: [
        ...[node('Gemm', ['x', 'a.w'], ['a'], { transB: 1 }), behind.node],
        ...[node('Gemm', ['x', 'b.w'], ['b'], { transB: 1 }), node('Add', ['ab', 'b'], ['sum'])],
        node('MatMul', ['sum', 'last'], ['y']),
      ],
      initializers: [
        ...[tensor('a.w', [4, 3], gaussians(12, 2)), tensor('b.w', [4, 3], gaussians(12, 3))],
        ...[tensor('last', [4, 2], gaussians(8, 4)), ...behind.initializers],
      ],
      outputs: ['y'],
      xShape: [5, 3],
      x: gaussians(15, 5),
    });
    assertScores(
      scores.get('a.w'),
      each(4, (c) => Math.abs(behind.gamma[c])),
    );
  });

  test('a weight that two layers share, each with one of its own', async (t) => {
    const [first, second] = [batchNorm('a', 'ab', 4, 1), batchNorm('b', 'bb', 4, 2)];
    const scores = await bnGamma(t, {
      nodes: [
        ...[node('Conv', ['x', 'w'], ['a']), first.node, node('Relu', ['x'], ['xr'])],
        ...[node('Conv', ['xr', 'w'], ['b']), second.node, node('Add', ['ab', 'bb'], ['sum'])],
        node('Conv', ['sum', 'last'], ['y']),
      ],
      initializers: [
        ...[tensor('w', [4, 3, 1], gaussians(12, 3)), tensor('last', [2, 4, 1], gaussians(8, 4))],
        ...[...first.initializers, ...second.initializers],
      ],
      outputs: ['y'],
      xShape: [2, 3, 5],
      x: gaussians(30, 5),
    });
    assertScores(
      scores.get('w'),
      each(4, (c) => Math.sqrt((first.gamma[c] ** 2 + second.gamma[c] ** 2) / 2)),
    );
  });

  test('all groups of a transposed convolution', async (t) => {
    const behind = batchNorm('a', 'ab', 6, 1);
    const context = await smallModelContext(t, {
      nodes: [
        ...[node('ConvTranspose', ['x', 'w'], ['a'], { group: 2 }), behind.node],
        node('Conv', ['ab', 'last'], ['y']),
      ],
      initializers: [
        ...[tensor('w', [4, 3, 2], gaussians(24, 2)), tensor('last', [2, 6, 1], gaussians(12, 3))],
        ...behind.initializers,
      ],
      outputs: ['y'],
      xShape: [2, 4, 5],
      x: gaussians(40, 4),
    });
    const [family] = await familiesOf(context);
    assert.deepEqual(
      family.structures.map(({ producers: [{ axis, positions }] }) => [axis, ...positions]),
      [
        [1, 0],
        [1, 1],
        [1, 2],
      ],
    );
    const scores = await scoreFamilies('bn_gamma', context);
    assertScores(
      scores.get('w'),
      each(3, (u) => Math.sqrt((behind.gamma[u] ** 2 + behind.gamma[3 + u] ** 2) / 2)),
    );
  });

  test('families behind which there is none are refused by name', async (t) => {
    const behind = batchNorm('a', 'ab', 4, 1);
    const context = await smallModelContext(t, {
      nodes: [
        ...[node('MatMul', ['x', 'first'], ['a']), behind.node, node('MatMul', ['ab', 'second'], ['b'])],
        ...[node('Relu', ['b'], ['r']), node('MatMul', ['r', 'third'], ['y'])],
      ],
      initializers: [
        ...[tensor('first', [3, 4], gaussians(12, 2)), tensor('second', [4, 5], gaussians(20, 3))],
        ...[tensor('third', [5, 2], gaussians(10, 4)), ...behind.initializers],
      ],
      outputs: ['y'],
      xShape: [5, 3],
      x: gaussians(15, 5),
    });
    const message =
      'no BatchNormalization follows the layers that compute it; exclude it or use criterion l2_norm';
    await assert.rejects(scoreFamilies('bn_gamma', context), {
      code: 'unsupported_model',
      message: `criterion bn_gamma cannot score second: ${message}`,
      findings: [{ path: 'second', message }],
    });
    const scores = await scoreFamilies('bn_gamma', context, ({ name }) => name === 'first');
    assertScores(
      scores.get('first'),
      each(4, (c) => Math.abs(behind.gamma[c])),
    );
  });
});
