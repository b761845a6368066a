import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { repairChannelVariance } from '../../src/repair/channel-variance.ts';
import { node, tensor } from '../models/build-model.ts';
import { assertNear, modelPair, repaired, withTensors } from '../models/model-pair.ts';
import { gaussians, multiply, type SmallModel } from '../models/small-model.ts';

const [N, IN, HIDDEN, OUT] = [120, 5, 6, 4];

const relu = (values: readonly number[]) => values.map((value) => Math.max(0, value));
const plusRow = (values: readonly number[], row: ArrayLike<number>) =>
  values.map((value, i) => value + row[i % row.length]);

/** Mean and deviation of every column. */
function momentsOf(values: readonly number[], columns: number) {
  const rows = values.length / columns;
  return Array.from({ length: columns }, (_, column) => {
    const own = Array.from({ length: rows }, (_, row) => values[row * columns + column]);
    const mean = own.reduce((sum, value) => sum + value, 0) / rows;
    const variance = own.reduce((sum, value) => sum + (value - mean) ** 2, 0) / rows;
    return { mean, deviation: Math.sqrt(variance) };
  });
}

describe('channel_variance', () => {
  const x = gaussians(N * IN, 1).map((value, i) => value + (i % IN));
  const [w1, w2] = [gaussians(IN * HIDDEN, 2), gaussians(HIDDEN * OUT, 3)];
  const [b1, b2] = [gaussians(HIDDEN, 5), gaussians(OUT, 6)];
  /** Of unit 2 all are gone, of unit 3 all but a faint one; of the others every third. */
  const thin1 = w1.map((value, i) => {
    const [feature, unit] = [Math.floor(i / HIDDEN), i % HIDDEN];
    if (unit === 2) return 0;
    if (unit === 3) return feature === 0 ? value / 1e3 : 0;
    return (feature + unit) % 3 === 1 ? 0 : value;
  });
  const thin2 = w2.map((value, i) => (i % 3 === 1 ? 0 : value));
  const dense: SmallModel = {
    xShape: [N, IN],
    x,
    nodes: [
      node('MatMul', ['x', 'w1'], ['a']),
      node('Add', ['a', 'b1'], ['b']),
      node('Relu', ['b'], ['c']),
      node('Gemm', ['c', 'w2', 'b2'], ['d']),
      node('MatMul', ['d', 'w3'], ['y']),
    ],
    initializers: [
      tensor('w1', [IN, HIDDEN], w1),
      tensor('b1', [HIDDEN], b1),
      tensor('w2', [HIDDEN, OUT], w2),
      tensor('b2', [OUT], b2),
      tensor('w3', [OUT, 2], gaussians(OUT * 2, 7)),
    ],
    outputs: [['y', [N, 2]]],
  };
  const first = (weights: ArrayLike<number>, bias: ArrayLike<number>) =>
    plusRow(multiply(x, [...Array.from(weights)], [N, IN, HIDDEN]), bias);

  test('gives every unit the mean and the deviation of the dense one, layer after layer', async (t) => {
    const initializers = withTensors(
      dense.initializers ?? [],
      tensor('w1', [IN, HIDDEN], thin1),
      tensor('w2', [HIDDEN, OUT], thin2),
    );
    const pair = await modelPair(t, dense, { w1: null, w2: null, w3: null }, { initializers });
    const work = await repairChannelVariance(pair, pair.edits);
    assert.deepEqual(work, { nRepaired: 2, leftOut: [{ name: 'w3', reason: 'has no bias of its own' }] });
    assert.ok(Math.abs(pair.passes.count - 3) < 1e-9, `${pair.passes.count} passes`);

    const [newW1, newB1, newW2, newB2] = await Promise.all(
      ['w1', 'b1', 'w2', 'b2'].map(async (name) => [...(await repaired(pair, name))]),
    );
    const [before, after] = [first(w1, b1), first(newW1, newB1)];
    const [wanted, found] = [before, after].map((values) => momentsOf(values, HIDDEN));
    for (const [unit, { mean, deviation }] of wanted.entries()) {
      assert.ok(Math.abs(found[unit].mean - mean) < 1e-5, `mean of unit ${unit}`);
      if (unit === 2) assert.equal(found[unit].deviation, 0);
      else if (unit !== 3) assert.ok(Math.abs(found[unit].deviation / deviation - 1) < 1e-5, `unit ${unit}`);
    }
    // A row is scaled as a whole, by four at most; what is gone stays gone.
    for (const [i, value] of newW1.entries()) {
      if (thin1[i] === 0) assert.equal(value, 0);
      if (i % HIDDEN === 3 && thin1[i] !== 0) assert.ok(Math.abs(value / thin1[i] - 4) < 1e-5);
    }

    const secondDense = plusRow(multiply(relu(before), [...w2], [N, HIDDEN, OUT]), b2);
    const second = plusRow(multiply(relu(after), newW2, [N, HIDDEN, OUT]), newB2);
    const [wantedSecond, foundSecond] = [secondDense, second].map((values) => momentsOf(values, OUT));
    for (const [unit, { mean, deviation }] of wantedSecond.entries()) {
      assert.ok(Math.abs(foundSecond[unit].mean - mean) < 1e-4);
      assert.ok(Math.abs(foundSecond[unit].deviation / deviation - 1) < 1e-4);
    }
  });

  test('of a layer without some of its units takes those that are left', async (t) => {
    const kept = [5, 0, 3];
    const columns = (values: ArrayLike<number>) =>
      Float32Array.from({ length: IN * kept.length }, (_, i) => {
        const [feature, unit] = [Math.floor(i / kept.length), i % kept.length];
        return feature === 1 ? 0 : values[feature * HIDDEN + kept[unit]];
      });
    const smaller = [
      tensor('w1', [IN, 3], columns(w1)),
      tensor(
        'b1',
        [3],
        Float32Array.from(kept, (unit) => b1[unit]),
      ),
      tensor(
        'w2',
        [3, OUT],
        Float32Array.from(kept.flatMap((unit) => [...w2.subarray(unit * OUT, (unit + 1) * OUT)])),
      ),
    ];
    const initializers = withTensors(dense.initializers ?? [], ...smaller);
    const pair = await modelPair(t, dense, { w1: kept }, { initializers });
    assert.deepEqual(await repairChannelVariance(pair, pair.edits), { nRepaired: 1, leftOut: [] });
    const [newW1, newB1] = [await repaired(pair, 'w1'), await repaired(pair, 'b1')];
    const wanted = momentsOf(first(w1, b1), HIDDEN);
    const found = momentsOf(plusRow(multiply(x, [...newW1], [N, IN, 3]), newB1), 3);
    for (const [unit, { mean, deviation }] of found.entries()) {
      assert.ok(Math.abs(mean - wanted[kept[unit]].mean) < 1e-5);
      assert.ok(Math.abs(deviation / wanted[kept[unit]].deviation - 1) < 1e-5);
    }
  });

  test('of a grouped convolution, per channel over all positions', async (t) => {
    const kernel = gaussians(4 * 2 * 9, 7);
    const convolution: SmallModel = {
      xShape: [20, 4, 5, 5],
      x: gaussians(20 * 100, 8).map((value) => value + 1),
      nodes: [node('Conv', ['x', 'k', 'b'], ['y'], { pads: [1, 1, 1, 1], group: 2 })],
      initializers: [tensor('k', [4, 2, 3, 3], kernel), tensor('b', [4], gaussians(4, 9))],
      outputs: [['y', [20, 4, 5, 5]]],
    };
    // Every weight at half its size: the rows come back whole, and with them the bias.
    const initializers = withTensors(
      convolution.initializers ?? [],
      tensor(
        'k',
        [4, 2, 3, 3],
        kernel.map((value) => value / 2),
      ),
    );
    const pair = await modelPair(t, convolution, { k: null }, { initializers });
    assert.equal((await repairChannelVariance(pair, pair.edits)).nRepaired, 1);
    assertNear(await repaired(pair, 'k'), kernel, 1e-5);
    assertNear(await repaired(pair, 'b'), gaussians(4, 9), 1e-5);
  });

  test('leaves a weight out that is multiplied by where other biases are added', async (t) => {
    const shared: SmallModel = {
      ...dense,
      nodes: [
        node('MatMul', ['x', 'w1'], ['a']),
        node('Add', ['a', 'b1'], ['b']),
        node('Neg', ['x'], ['negative']),
        node('MatMul', ['negative', 'w1'], ['other']),
        node('Add', ['other', 'b'], ['y']),
      ],
      initializers: [tensor('w1', [IN, HIDDEN], w1), tensor('b1', [HIDDEN], b1)],
      outputs: [['y', [N, HIDDEN]]],
    };
    const initializers = withTensors(shared.initializers ?? [], tensor('w1', [IN, HIDDEN], thin1));
    const pair = await modelPair(t, shared, { w1: null }, { initializers });
    const { nRepaired, leftOut } = await repairChannelVariance(pair, pair.edits);
    assert.equal(nRepaired, 0);
    assert.ok(leftOut.every(({ name }) => name === 'w1') && leftOut.length > 0);
    assertNear(await repaired(pair, 'w1'), thin1, 0);
  });
});
