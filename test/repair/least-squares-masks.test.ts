import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { repairBiases } from '../../src/repair/bias.ts';
import { repairMasksByLeastSquares } from '../../src/repair/least-squares-masks.ts';
import { node, tensor } from '../models/build-model.ts';
import { assertNear, repaired } from '../models/model-pair.ts';
import { gaussians, multiply, type SmallModel } from '../models/small-model.ts';
import { correlated, relu, rowsOf, transposed } from './matrices.ts';
import { chooseRow } from './normal-equations.ts';
import { convolutionPair, foundOf, prunedPair, scoredMask, sharedPair } from './scored-pairs.ts';

const N = 80;
const TOLERANCE = 1e-4;

const countsOf = (mask: readonly (readonly number[])[]) =>
  mask.map((row) => row.reduce((sum, keep) => sum + keep, 0));

describe('least_squares_masks', () => {
  const x = correlated(N, 10, 1);
  const [w1, w2] = [gaussians(10 * 9, 3), gaussians(9 * 6, 4)];
  const inputs = rowsOf(x, 10);
  const twoLayers: SmallModel = {
    xShape: [N, 10],
    x,
    nodes: [
      node('Transpose', ['w1'], ['w1t'], { perm: [1, 0] }),
      node('MatMul', ['x', 'w1t'], ['a']),
      node('Relu', ['a'], ['b']),
      node('MatMul', ['b', 'w2'], ['y']),
    ],
    initializers: [tensor('w1', [9, 10], w1), tensor('w2', [9, 6], w2)],
    outputs: [['y', [N, 6]]],
  };
  const chooseAll = (dense: number[][], pruned: number[][], weights: number[][], counts: number[]) =>
    weights.map((row, unit) => chooseRow({ dense, pruned, weights: row }, counts[unit]));

  test('chooses and fits row by row, layer by layer, and is undone with its masks', async (t) => {
    const pair = await prunedPair(t, twoLayers, { w1: [[9, 10], w1], w2: [[9, 6], w2] });
    const filesOf = () =>
      Promise.all(['model.onnx', 'masks'].map((file) => readFile(join(pair.pruned.directory, file))));
    const before = await filesOf();
    const work = await repairMasksByLeastSquares(pair, pair.edits);

    const first = chooseAll(inputs, inputs, rowsOf(w1, 10), countsOf(rowsOf(scoredMask(90), 10)));
    const firstRows = first.flatMap(({ row }) => row);
    assertNear(await foundOf(pair, 'w1'), firstRows, TOLERANCE);

    const hidden = (weights: ArrayLike<number>) =>
      rowsOf(relu(multiply(x, transposed(weights, [9, 10]), [N, 10, 9])), 9);
    const units = (values: ArrayLike<number>) => rowsOf(transposed(values, [9, 6]), 9);
    const counts = countsOf(units(scoredMask(54)));
    const second = chooseAll(hidden(w1), hidden(firstRows), units(w2), counts);
    const secondRows = second.flatMap(({ row }) => row);
    assertNear(await foundOf(pair, 'w2'), transposed(secondRows, [6, 9]), TOLERANCE);

    const movedOf = (expected: number[], scored: ArrayLike<number>) =>
      expected.filter((value, i) => value !== 0 && scored[i] === 0).length;
    const moved = [
      { name: 'w1', nMoved: movedOf(firstRows, scoredMask(90)) },
      { name: 'w2', nMoved: movedOf(secondRows, transposed(scoredMask(54), [9, 6])) },
    ];
    assert.ok(moved.every(({ nMoved }) => nMoved > 0));
    assert.deepEqual(work, { nRepaired: 2, leftOut: [], moved });

    await pair.edits.undo();
    assert.deepEqual(await filesOf(), before);
  });

  test('takes off what another repair has given a bias, and begins at the dense weights', async (t) => {
    const weights = gaussians(10 * 5, 6);
    const bias = gaussians(5, 7);
    const gemm: SmallModel = {
      xShape: [N, 10],
      x,
      nodes: [node('Gemm', ['x', 'w', 'b'], ['y'], { transB: 1 })],
      initializers: [tensor('w', [5, 10], weights), tensor('b', [5], bias)],
      outputs: [['y', [N, 5]]],
    };
    const pair = await prunedPair(t, gemm, { w: [[5, 10], weights] });
    await repairBiases(pair, pair.edits);
    const shifted = await repaired(pair, 'b');
    await repairMasksByLeastSquares(pair, pair.edits);
    const counts = countsOf(rowsOf(scoredMask(50), 10));
    const expected = rowsOf(weights, 10).flatMap(
      (row, unit) =>
        chooseRow(
          { dense: inputs, pruned: inputs, weights: row, offset: bias[unit] - shifted[unit] },
          counts[unit],
        ).row,
    );
    assertNear(await foundOf(pair, 'w'), expected, TOLERANCE);
  });

  test('each group of a convolution by what it sees', async (t) => {
    const [groups, channels, filters] = [2, 3, 4];
    const { pair, weights, cube } = await convolutionPair(t, groups, channels, filters);
    await repairMasksByLeastSquares(pair, pair.edits);
    const features = channels * 3;
    const counts = countsOf(rowsOf(scoredMask(weights.length), features));
    const expected = rowsOf(weights, features).flatMap((row, filter) => {
      const first = Math.floor(filter / filters) * channels;
      const patches = Array.from({ length: 20 * 5 }, (_, at) =>
        Array.from({ length: features }, (_, i) => {
          const channel = Math.floor(at / 5) * groups * channels + first + Math.floor(i / 3);
          return cube[channel * 7 + (at % 5) + (i % 3)];
        }),
      );
      return chooseRow({ dense: patches, pruned: patches, weights: row }, counts[filter]).row;
    });
    assertNear(await foundOf(pair, 'w'), expected, TOLERANCE);
  });

  test('one choice for all the places of a shared weight; what is read otherwise keeps its mask', async (t) => {
    const { pair, shared } = await sharedPair(t, x);
    const before = [...(await repaired(pair, 'read'))];
    const { nRepaired, leftOut, moved } = await repairMasksByLeastSquares(pair, pair.edits);
    assert.deepEqual([nRepaired, leftOut.map(({ name }) => name)], [1, ['read']]);
    assert.deepEqual(
      moved?.map(({ name }) => name),
      ['shared'],
    );
    assert.deepEqual(await foundOf(pair, 'read'), before);
    const places = [...inputs, ...rowsOf(relu([...x].map((value) => -value)), 10)];
    const units = (values: ArrayLike<number>) => rowsOf(transposed(values, [10, 6]), 10);
    const expected = chooseAll(places, places, units(shared), countsOf(units(scoredMask(60))));
    const rows = expected.flatMap(({ row }) => row);
    assertNear(await foundOf(pair, 'shared'), transposed(rows, [6, 10]), TOLERANCE);
  });
});
