import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { readStoredModel } from '../../../src/graph/inventory.ts';
import { node, tensor } from '../../models/build-model.ts';
import { assertScores, gaussians, type SmallModel, smallModelContext } from '../../models/small-model.ts';
import { transformer } from '../../models/structure-models.ts';
import { criterionContext, testFolder } from '../run-criterion.ts';
import { each, scoreFamilies, sumOfSquares } from './scored-families.ts';

const l2Norm = async (t: TestContext, small: SmallModel) =>
  scoreFamilies('l2_norm', await smallModelContext(t, small));

describe('l2_norm: of the rows that compute a structure', () => {
  test('columns of a MatMul, rows of a Gemm with transB, biases aside', async (t) => {
    const [w1, w2, w3] = [gaussians(4 * 5, 1), gaussians(7 * 5, 2), gaussians(7 * 3, 3)];
    const scores = await l2Norm(t, {
      nodes: [
        node('MatMul', ['x', 'w1'], ['xw']),
        node('Add', ['xw', 'b1'], ['h']),
        node('Relu', ['h'], ['r']),
        node('Gemm', ['r', 'w2', 'b2'], ['g'], { transB: 1 }),
        node('Relu', ['g'], ['rg']),
        node('MatMul', ['rg', 'w3'], ['y']),
      ],
      initializers: [
        ...[tensor('w1', [4, 5], w1), tensor('b1', [5], gaussians(5, 4))],
        ...[tensor('w2', [7, 5], w2), tensor('b2', [7], gaussians(7, 5)), tensor('w3', [7, 3], w3)],
      ],
      outputs: ['y'],
      xShape: [6, 4],
      x: gaussians(24, 6),
    });
    assert.deepEqual([...scores.keys()], ['w1', 'w2']);
    assertScores(
      scores.get('w1'),
      each(5, (unit) => Math.sqrt(sumOfSquares(w1, (i) => i % 5 === unit))),
      1e-12,
    );
    assertScores(
      scores.get('w2'),
      each(7, (unit) => Math.sqrt(sumOfSquares(w2, (i) => Math.floor(i / 5) === unit))),
      1e-12,
    );
  });

  test('all that a residual sum couples', async (t) => {
    const [stem, inner, outer] = [gaussians(6 * 4, 1), gaussians(5 * 6, 2), gaussians(6 * 5, 3)];
    const scores = await l2Norm(t, {
      nodes: [
        node('Gemm', ['x', 'stem'], ['s'], { transB: 1 }),
        node('Relu', ['s'], ['r']),
        node('Gemm', ['r', 'inner'], ['i'], { transB: 1 }),
        node('Relu', ['i'], ['ri']),
        node('Gemm', ['ri', 'outer'], ['o'], { transB: 1 }),
        node('Add', ['r', 'o'], ['sum']),
        node('MatMul', ['sum', 'head'], ['y']),
      ],
      initializers: [
        ...[tensor('stem', [6, 4], stem), tensor('inner', [5, 6], inner)],
        ...[tensor('outer', [6, 5], outer), tensor('head', [6, 3], gaussians(18, 4))],
      ],
      outputs: ['y'],
      xShape: [6, 4],
      x: gaussians(24, 5),
    });
    assert.deepEqual([...scores.keys()], ['stem', 'inner']);
    assertScores(
      scores.get('stem'),
      each(6, (unit) =>
        Math.sqrt(
          sumOfSquares(stem, (i) => Math.floor(i / 4) === unit) +
            sumOfSquares(outer, (i) => Math.floor(i / 5) === unit),
        ),
      ),
      1e-12,
    );
    assertScores(
      scores.get('inner'),
      each(5, (unit) => Math.sqrt(sumOfSquares(inner, (i) => Math.floor(i / 6) === unit))),
      1e-12,
    );
  });

  test('a depthwise convolution goes with what feeds it; groups, and places within groups, with theirs', async (t) => {
    const [first, deep, grouped] = [gaussians(4 * 3 * 3, 1), gaussians(4 * 3, 2), gaussians(6 * 2 * 3, 3)];
    const scores = await l2Norm(t, {
      nodes: [
        node('Conv', ['x', 'first'], ['a']),
        node('Conv', ['a', 'deep'], ['d'], { group: 4 }),
        node('Relu', ['d'], ['r']),
        node('Conv', ['r', 'mix'], ['m']),
        node('Conv', ['m', 'grouped'], ['g'], { group: 2 }),
        node('Conv', ['g', 'last'], ['y']),
      ],
      initializers: [
        ...[tensor('first', [4, 3, 3], first), tensor('deep', [4, 1, 3], deep)],
        ...[tensor('mix', [4, 4, 1], gaussians(16, 4)), tensor('grouped', [6, 2, 3], grouped)],
        tensor('last', [2, 6, 1], gaussians(12, 5)),
      ],
      outputs: ['y'],
      xShape: [2, 3, 12],
      x: gaussians(72, 6),
    });
    const mix = gaussians(16, 4);
    const row = (numbers: Float32Array, size: number, isMeant: (row: number) => boolean) =>
      sumOfSquares(numbers, (i) => isMeant(Math.floor(i / size)));
    assert.deepEqual([...scores.keys()].sort(), ['first', 'grouped', 'mix', 'mix#0']);
    assertScores(
      scores.get('first'),
      each(4, (c) => Math.sqrt(row(first, 9, (r) => r === c) + row(deep, 3, (r) => r === c))),
      1e-12,
    );
    const groups = each(2, (g) =>
      Math.sqrt(
        row(mix, 4, (r) => Math.floor(r / 2) === g) + row(grouped, 6, (r) => Math.floor(r / 3) === g),
      ),
    );
    const within = each(2, (c) => Math.sqrt(row(mix, 4, (r) => r % 2 === c)));
    assertScores(scores.get('mix'), groups, 1e-12);
    assertScores(scores.get('mix#0'), within, 1e-12);
    assertScores(
      scores.get('grouped'),
      each(3, (u) => Math.sqrt(row(grouped, 6, (r) => r % 3 === u))),
      1e-12,
    );
  });

  test('queries, keys and values of a head', async (t) => {
    const folder = await testFolder(t);
    await writeFile(join(folder, 'model.onnx'), transformer());
    const context = criterionContext(await readStoredModel(folder, ['model.onnx']), folder, null);
    const scores = await scoreFamilies('l2_norm', context, ({ kind }) => kind === 'head');
    // Each of the three holds 1, 2, 3, ... as [16, 16], a head four of its columns.
    const numbers = Float64Array.from({ length: 256 }, (_, i) => i + 1);
    assertScores(
      [...scores.values()][0],
      each(4, (head) => Math.sqrt(3 * sumOfSquares(numbers, (i) => Math.floor((i % 16) / 4) === head))),
      1e-12,
    );
  });
});
