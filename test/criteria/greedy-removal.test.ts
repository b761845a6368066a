import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Reading, removalErrors } from '../../src/criteria/greedy-removal.ts';
import { createRandom, gaussian } from '../core/oracle.ts';
import { eliminate } from '../repair/normal-equations.ts';
import { gramOf, range, removeGreedily, type System } from './greedy-oracle.ts';

/** Gaussian inputs, every third a mixture of those before it, and columns in a random order. */
function systemOf(seed: number, { count = 6, width = 1, others = 0, rows = 3, damping = 0.05 } = {}): System {
  const random = createRandom(seed);
  const features = count * width + others;
  const inputs = range(4 * features).map(() => {
    const row = range(features).map(() => gaussian(random));
    return row.map((value, i) => (i % 3 === 2 ? row[i - 1] - 0.7 * row[i - 2] + 0.2 * value : value));
  });
  const order = range(features).sort((a, b) => Math.sin(seed + 9 * a) - Math.sin(seed + 9 * b));
  return {
    gram: gramOf(inputs, damping),
    weights: range(rows).map(() => range(features).map(() => gaussian(random))),
    columns: range(count).map((c) => order.slice(c * width, (c + 1) * width)),
  };
}

function readingOf({ gram, weights, columns }: System): Reading {
  const features = range(gram.length);
  const inverse = features.map((i) => eliminate(gram.map((row, at) => [...row, Number(at === i)])));
  const taken = columns.flat();
  return {
    width: columns[0].length,
    rows: weights.length,
    weights: Float64Array.from(taken.flatMap((column) => weights.map((row) => row[column]))),
    inverse: Float64Array.from(taken.flatMap((i) => taken.map((j) => inverse[i][j]))),
  };
}

function assertGreedy(systems: readonly System[]): void {
  const count = systems[0].columns.length;
  const scores = removalErrors(count, systems.map(readingOf));
  const steps = removeGreedily(systems);
  const ascending = range(count).sort((a, b) => scores[a] - scores[b]);
  assert.deepEqual(
    ascending,
    steps.map(({ structure }) => structure),
  );
  assert.equal(new Set(scores).size, count, 'none is equal to another');
  let highest = 0;
  for (const { structure, increase } of steps) {
    highest = Math.max(highest, Math.sqrt(increase));
    assert.ok(
      Math.abs(scores[structure] - highest) <= 1e-8 * highest,
      `${scores[structure]}, not ${highest}`,
    );
  }
}

describe('structures removed greedily', () => {
  test('each scores what the least error of all weights that are left rises by', () => {
    for (const seed of range(20)) assertGreedy([systemOf(seed)]);
  });

  test('so do blocks of columns, anywhere in a matrix of which other columns stay', () => {
    for (const seed of range(10)) assertGreedy([systemOf(seed, { width: 3, others: 4, rows: 2 })]);
  });

  test('so does what several layers read, of one column or more', () => {
    for (const seed of range(10)) {
      const [one, block] = [systemOf(seed, { others: 2 }), systemOf(seed + 100, { width: 2, rows: 5 })];
      assertGreedy([one, block]);
    }
  });

  test('where one adds less than one before it, the order of the scores is still that of removal', () => {
    const isFalling = (system: System) => {
      const increases = removeGreedily([system]).map(({ increase }) => increase);
      return increases.some((increase, i) => i > 0 && increase < increases[i - 1]);
    };
    const falling = range(60)
      .map((seed) => systemOf(seed, { count: 5, rows: 1, damping: 1e-3 }))
      .filter(isFalling);
    assert.ok(falling.length > 0);
    for (const system of falling) assertGreedy([system]);
  });

  test('of two that are alike one goes for nearly nothing, and then the other is dear', () => {
    const random = createRandom(7);
    const inputs = range(200).map(() => {
      const row = range(5).map(() => gaussian(random));
      return [...row, row[1]];
    });
    const weights = range(4).map(() => range(6).map(() => gaussian(random)));
    const system = { gram: gramOf(inputs, 1e-4), weights, columns: range(6).map((i) => [i]) };
    const scores = removalErrors(6, [readingOf(system)]);
    const [cheap, dear] = [scores[1], scores[5]].sort((a, b) => a - b);
    assert.equal(Math.min(...scores), cheap);
    assert.ok(cheap < 0.02 * dear, `${cheap}, ${dear}`);
  });

  test('what is always zero goes first, for what damping alone holds it by', () => {
    const random = createRandom(8);
    const inputs = range(100).map(() => [gaussian(random), 0, gaussian(random), 0]);
    const weights = [
      [1, 3, 1, 2],
      [1, 4, -1, 0],
    ];
    const damping = 1e-3;
    const columns = range(4).map((i) => [i]);
    const scores = removalErrors(4, [readingOf({ gram: gramOf(inputs, damping), weights, columns })]);
    for (const [at, squares] of [
      [3, 4],
      [1, 25],
    ])
      assert.ok(Math.abs(scores[at] - Math.sqrt(damping * squares)) < 1e-12);
    assert.ok(Math.min(scores[0], scores[2]) > scores[1]);
  });

  test('of equal ones the last goes first, as by scores that are the same', () => {
    const gram = range(4).map((i) => range(4).map((j) => Number(i === j)));
    const weights = [[1, 1, 1, 1]];
    const scores = removalErrors(4, [readingOf({ gram, weights, columns: range(4).map((i) => [i]) })]);
    for (const i of [0, 1, 2]) assert.ok(scores[i] > scores[i + 1]);
    assert.ok(scores[0] < 1 + 1e-12);
  });

  test('what nothing reads scores nothing', () => {
    assert.deepEqual(removalErrors(3, []), new Float64Array(3));
  });
});
