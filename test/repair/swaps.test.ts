import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { repairBiases } from '../../src/repair/bias.ts';
import { swapRow } from '../../src/repair/swap-rows.ts';
import { repairBySwaps } from '../../src/repair/swaps.ts';
import { node, tensor } from '../models/build-model.ts';
import { repaired } from '../models/model-pair.ts';
import { gaussians, multiply, type SmallModel } from '../models/small-model.ts';
import { correlated, relu, rowsOf, transposed } from './matrices.ts';
import { convolutionPair, foundOf, prunedPair, scoredMask, sharedPair } from './scored-pairs.ts';

const N = 80;

/** What rows keep of their weights, by what comes in. */
function swapped(
  inputs: readonly (readonly number[])[],
  weights: number[][],
  scored: number[][],
): number[][] {
  const features = weights[0].length;
  const gram = Float64Array.from({ length: features ** 2 }, (_, at) =>
    inputs.reduce((sum, row) => sum + row[at % features] * row[Math.floor(at / features)], 0),
  );
  return weights.map((row, unit) => {
    const mask = Uint8Array.from(scored[unit]);
    const shift = multiply(
      row.map((value, i) => (mask[i] === 1 ? 0 : value)),
      gram,
      [1, features, features],
    );
    swapRow(Float64Array.from(row), mask, gram, Float64Array.from(shift));
    return row.map((value, i) => (mask[i] === 1 ? value : 0));
  });
}

describe('swaps', () => {
  const x = correlated(N, 10, 1);
  const inputs = rowsOf(x, 10);
  const [w1, w2] = [gaussians(10 * 9, 3), gaussians(9 * 6, 4)];
  const twoLayers: SmallModel = {
    xShape: [N, 10],
    x,
    nodes: [
      node('Gemm', ['x', 'w1', 'b1'], ['a'], { transB: 1 }),
      node('Relu', ['a'], ['b']),
      node('MatMul', ['b', 'w2'], ['y']),
    ],
    initializers: [tensor('w1', [9, 10], w1), tensor('b1', [9], gaussians(9, 5)), tensor('w2', [9, 6], w2)],
    outputs: [['y', [N, 6]]],
  };
  const b1 = [...gaussians(9, 5)];
  const hidden = rowsOf(
    relu(multiply(x, transposed(w1, [9, 10]), [N, 10, 9]).map((value, i) => value + b1[i % 9])),
    9,
  );
  const units = (values: ArrayLike<number>) => rowsOf(transposed(values, [9, 6]), 9);
  const first = swapped(inputs, rowsOf(w1, 10), rowsOf(scoredMask(90), 10)).flat();
  const second = transposed(swapped(hidden, units(w2), units(scoredMask(54))).flat(), [6, 9]);

  test('exchanges row by row, by what comes into the dense layers, and is undone with its masks', async (t) => {
    const pair = await prunedPair(t, twoLayers, { w1: [[9, 10], w1], w2: [[9, 6], w2] });
    const filesOf = () =>
      Promise.all(['model.onnx', 'masks'].map((file) => readFile(join(pair.pruned.directory, file))));
    const before = await filesOf();
    const work = await repairBySwaps(pair, pair.edits);
    assert.deepEqual(await foundOf(pair, 'w1'), first);
    assert.deepEqual(await foundOf(pair, 'w2'), second);
    const movedOf = (expected: number[]) =>
      expected.filter((value, i) => value !== 0 && scoredMask(expected.length)[i] === 0).length;
    const moved = [
      { name: 'w1', nMoved: movedOf(first) },
      { name: 'w2', nMoved: movedOf(second) },
    ];
    assert.ok(moved.every(({ nMoved }) => nMoved > 0));
    assert.deepEqual(work, { nRepaired: 2, leftOut: [], moved });
    await pair.edits.undo();
    assert.deepEqual(await filesOf(), before);
  });

  test('leaves biases as another repair has left them, and chooses as without it', async (t) => {
    const pair = await prunedPair(t, twoLayers, { w1: [[9, 10], w1], w2: [[9, 6], w2] });
    await repairBiases(pair, pair.edits);
    const bias = await repaired(pair, 'b1');
    assert.notDeepEqual([...bias], b1);
    await repairBySwaps(pair, pair.edits);
    assert.deepEqual(await repaired(pair, 'b1'), bias);
    assert.deepEqual([await foundOf(pair, 'w1'), await foundOf(pair, 'w2')], [first, second]);
  });

  test('each group of a convolution by what it sees', async (t) => {
    const [groups, channels, filters] = [2, 3, 4];
    const features = channels * 3;
    const { pair, weights, cube } = await convolutionPair(t, groups, channels, filters);
    await repairBySwaps(pair, pair.edits);
    const expected = [0, 1].flatMap((group) => {
      const patches = Array.from({ length: 20 * 5 }, (_, at) =>
        Array.from({ length: features }, (_, i) => {
          const channel = (Math.floor(at / 5) * groups + group) * channels + Math.floor(i / 3);
          return cube[channel * 7 + (at % 5) + (i % 3)];
        }),
      );
      const own = <T>(rows: T[]) => rows.slice(group * filters, (group + 1) * filters);
      const scored = rowsOf(scoredMask(weights.length), features);
      return swapped(patches, own(rowsOf(weights, features)), own(scored)).flat();
    });
    assert.deepEqual(await foundOf(pair, 'w'), expected);
  });

  test('one choice for all the places of a shared weight; what is read otherwise keeps its mask', async (t) => {
    const { pair, shared } = await sharedPair(t, x);
    const before = [...(await repaired(pair, 'read'))];
    const { nRepaired, leftOut, moved } = await repairBySwaps(pair, pair.edits);
    assert.deepEqual([nRepaired, leftOut.map(({ name }) => name)], [1, ['read']]);
    assert.deepEqual(
      moved?.map(({ name }) => name),
      ['shared'],
    );
    assert.deepEqual(await foundOf(pair, 'read'), before);
    const places = [...inputs, ...rowsOf(relu([...x].map((value) => -value)), 10)];
    const columns = (values: ArrayLike<number>) => rowsOf(transposed(values, [10, 6]), 10);
    const expected = swapped(places, columns(shared), columns(scoredMask(60)));
    assert.deepEqual(await foundOf(pair, 'shared'), transposed(expected.flat(), [6, 10]));
  });
});
