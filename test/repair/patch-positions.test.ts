import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { repairByLeastSquares } from '../../src/repair/least-squares.ts';
import { drawPositions } from '../../src/repair/patch-positions.ts';
import { openSession } from '../../src/runtime/session.ts';
import { RUNTIME } from '../criteria/run-criterion.ts';
import { node, tensor } from '../models/build-model.ts';
import { assertNear, type ModelPair, modelPair, repaired } from '../models/model-pair.ts';
import { gaussians, type SmallModel } from '../models/small-model.ts';

test('positions are spread evenly, differ by seed and are the same for one seed', () => {
  const drawn = drawPositions(1000, 100, 7);
  assert.ok(drawn.every((position, i) => Math.floor(position / 10) === i));
  assert.deepEqual(drawPositions(1000, 100, 7), drawn);
  assert.notDeepEqual(drawPositions(1000, 100, 8), drawn);
  assert.ok(new Set(drawn.map((position) => position % 10)).size === 10);
  for (const count of [5, 6]) assert.deepEqual(drawPositions(5, count, 1), [0, 1, 2, 3, 4]);
});

describe('least_squares on few of many positions', () => {
  const [n, channels, size, hidden] = [12, 3, 48, 12];
  // Neighbours that go together, as in pictures.
  const noise = gaussians(n * channels * size * size, 1);
  const x = noise.map((_, i) => [0, 1, 2, size, size + 1].reduce((sum, d) => sum + (noise[i - d] ?? 0), 0));
  const [k1, k2] = [gaussians(hidden * channels * 9, 2), gaussians(6 * hidden * 9, 3)];
  const kept = [0, 1, 2, 3, 5, 6, 8, 9, 11];
  const nodes = [
    node('Conv', ['x', 'k1'], ['a'], { pads: [1, 1, 1, 1] }),
    node('Relu', ['a'], ['b']),
    node('Conv', ['b', 'k2'], ['y'], { pads: [1, 1, 1, 1], strides: [2, 1] }),
  ];
  const dense: SmallModel = {
    xShape: [n, channels, size, size],
    x,
    nodes,
    initializers: [tensor('k1', [hidden, channels, 3, 3], k1), tensor('k2', [6, hidden, 3, 3], k2)],
    outputs: ['y'],
  };
  const initializers = [
    tensor(
      'k1',
      [kept.length, channels, 3, 3],
      Float32Array.from(kept.flatMap((unit) => [...k1.subarray(unit * 27, (unit + 1) * 27)])),
    ),
    tensor(
      'k2',
      [6, kept.length, 3, 3],
      Float32Array.from(
        Array.from({ length: 6 * hidden }, (_, i) => i)
          .filter((i) => kept.includes(i % hidden))
          .flatMap((i) => [...k2.subarray(i * 9, (i + 1) * 9)]),
      ),
    ),
  ];
  const outputOf = async ({ directory }: ModelPair['dense']) => {
    await using session = await openSession(`${directory}/model.onnx`, RUNTIME);
    const input = { dtype: 'float32', shape: [n, channels, size, size], data: x };
    return (await session.run(new Map([['x', input]]), ['y'])).get('y')?.data as Float32Array;
  };
  const errorOf = async (pair: ModelPair) => {
    const [before, after] = [await outputOf(pair.dense), await outputOf(pair.pruned)];
    return before.reduce((sum, value, i) => sum + (value - after[i]) ** 2, 0);
  };

  test('costs hardly any of the fit, and gives the same bits whatever the number of threads', async (t) => {
    const pairOf = () => modelPair(t, dense, { k1: kept, k2: null }, { initializers });
    const plain = await pairOf();
    const none = await errorOf(plain);
    const whole = await pairOf();
    await repairByLeastSquares({ ...whole, rowsPerFeature: Number.POSITIVE_INFINITY }, whole.edits);
    const found: Float64Array[] = [];
    for (const threads of [1, 2]) {
      const pair = await pairOf();
      await repairByLeastSquares({ ...pair, runtime: { ...RUNTIME, threads } }, pair.edits);
      found.push(await repaired(pair, 'k2'));
      const [all, few] = [await errorOf(whole), await errorOf(pair)];
      assert.ok(few < 0.9 * none && few < 1.02 * all, `${none} before, ${all} by all, ${few} by few`);
    }
    assert.deepEqual(found[0], found[1]);
    assert.notDeepEqual(found[0], await repaired(whole, 'k2'));
  });
});

test('least_squares on some of many tokens fits like all of them', async (t) => {
  const [n, tokens, width, units] = [20, 600, 6, 4];
  const [common, own] = [gaussians(n * tokens, 4), gaussians(n * tokens * width, 5)];
  const x = own.map((value, i) => 0.5 * value + common[Math.floor(i / width)]);
  const w = gaussians(width * units, 6);
  const dense: SmallModel = {
    xShape: [n, tokens, width],
    x,
    nodes: [node('MatMul', ['x', 'w'], ['y'])],
    initializers: [tensor('w', [width, units], w)],
    outputs: ['y'],
  };
  const initializers = [
    tensor(
      'w',
      [width, units],
      w.map((value, i) => (i % 3 === 1 ? 0 : value)),
    ),
  ];
  const weightsBy = async (rowsPerFeature: object) => {
    const pair = await modelPair(t, dense, { w: null }, { initializers });
    await repairByLeastSquares({ ...pair, ...rowsPerFeature }, pair.edits);
    return await repaired(pair, 'w');
  };
  const [few, all] = [await weightsBy({}), await weightsBy({ rowsPerFeature: Number.POSITIVE_INFINITY })];
  assertNear(few, all, 0.02);
  assert.notDeepEqual(few, all);
});
