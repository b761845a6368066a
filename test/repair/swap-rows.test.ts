import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { swapRow } from '../../src/repair/swap-rows.ts';
import { gaussians } from '../models/small-model.ts';

const CANDIDATES = 16;

/** What comes in, a row for each position; the weights, and which are kept. */
interface Problem {
  readonly inputs: readonly (readonly number[])[];
  readonly weights: readonly number[];
  readonly kept: readonly number[];
}

function run({ inputs, weights, kept }: Problem) {
  const gram = weights.flatMap((_, i) =>
    weights.map((_, j) => inputs.reduce((sum, row) => sum + row[i] * row[j], 0)),
  );
  const shiftOf = (mask: ArrayLike<number>) =>
    weights.map((_, i) =>
      weights.reduce((sum, w, j) => sum + (mask[j] === 1 ? 0 : w) * gram[i * weights.length + j], 0),
    );
  const mask = Uint8Array.from(kept);
  const shift = Float64Array.from(shiftOf(kept));
  const swaps = swapRow(Float64Array.from(weights), mask, Float64Array.from(gram), shift);
  const largest = Math.max(...gram.map(Math.abs)) * Math.max(...weights.map(Math.abs));
  for (const [i, expected] of shiftOf(mask).entries())
    assert.ok(Math.abs(shift[i] - expected) <= 1e-11 * largest, `${shift[i]}, not ${expected}`);
  return { kept: [...mask], swaps };
}

/** `|X r|^2`, r what is not kept. */
function errorOf({ inputs, weights }: Problem, kept: readonly number[]): number {
  return inputs.reduce((sum, row) => {
    const lost = row.reduce((total, x, i) => total + (kept[i] === 1 ? 0 : x * weights[i]), 0);
    return sum + lost * lost;
  }, 0);
}

const flipped = (kept: readonly number[], ...places: number[]) =>
  kept.map((keep, i) => (places.includes(i) ? 1 - keep : keep));

/** The best exchange of the candidates, every error computed anew; null where none lowers it. */
function bestExchange(problem: Problem, kept: readonly number[]) {
  const candidates = (side: number) =>
    [...kept.keys()]
      .filter((i) => kept[i] === side && (side === 1 || problem.weights[i] !== 0))
      .map((i) => ({ i, cost: errorOf(problem, flipped(kept, i)) }))
      .toSorted((a, b) => a.cost - b.cost || a.i - b.i)
      .slice(0, CANDIDATES)
      .map(({ i }) => i);
  const coming = candidates(0);
  const pairs = candidates(1).flatMap((i) => coming.map((j) => flipped(kept, i, j)));
  const errors = pairs.map((pair) => errorOf(problem, pair));
  const least = Math.min(...errors);
  return least < errorOf(problem, kept) * (1 - 1e-9) ? pairs[errors.indexOf(least)] : null;
}

describe('swapRow', () => {
  const problem = fc
    .record({
      seed: fc.nat(1e6),
      features: fc.integer({ min: 1, max: 40 }),
      samples: fc.integer({ min: 1, max: 60 }),
      common: fc.constantFrom(0, 1),
      share: fc.integer({ min: 1, max: 9 }),
      zeroEvery: fc.integer({ min: 2, max: 9 }),
    })
    .map(({ seed, features, samples, common, share, zeroEvery }): Problem => {
      const numbers = [...gaussians((samples + 2) * features + samples, seed)];
      const next = (count: number) => numbers.splice(0, count);
      const weights = next(features).map((value, i) => (i % zeroEvery === zeroEvery - 1 ? 0 : value));
      const kept = next(features).map((value) => Number(Math.floor(Math.abs(value) * 1e4) % 10 < share));
      const inputs = Array.from({ length: samples }, () => {
        const [shared] = next(1);
        return next(features).map((value) => value + common * shared);
      });
      return { inputs, weights, kept };
    });

  test('makes the best exchange of sixteen by sixteen until none lowers the error', () => {
    fc.assert(
      fc.property(problem, (given) => {
        const found = run(given);
        const errors = [errorOf(given, given.kept)];
        let kept: readonly number[] = given.kept;
        for (let next = bestExchange(given, kept); next; next = bestExchange(given, kept)) {
          kept = next;
          errors.push(errorOf(given, kept));
          assert.ok(errors[errors.length - 1] < errors[errors.length - 2]);
        }
        // With fewer samples than weights an error of next to nothing can be reached, of which all that is left is rounding.
        if (errors[errors.length - 1] > 1e-6 * errors[0]) {
          assert.deepEqual(found.kept, kept);
          assert.equal(found.swaps, errors.length - 1);
        }
        assert.ok(errorOf(given, found.kept) <= errors[0]);
        const count = (mask: readonly number[]) => mask.reduce((sum, keep) => sum + keep, 0);
        assert.equal(count(found.kept), count(given.kept));
        for (const [i, weight] of given.weights.entries())
          if (weight === 0) assert.ok(found.kept[i] <= given.kept[i], 'no zero comes in');
      }),
      { seed: 11, numRuns: 300 },
    );
  });

  const apart = (n: number) =>
    Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => +(i === j)));

  test('takes of equal ones those that come first', () => {
    const weights = [1, 3, -1, 3, 1, -3, 3];
    const { kept, swaps } = run({ inputs: apart(7), weights, kept: [1, 0, 1, 0, 1, 0, 1] });
    assert.deepEqual([kept, swaps], [[0, 1, 0, 1, 0, 1, 1], 3]);
    const fewer = run({ inputs: apart(7), weights, kept: [1, 0, 0, 0, 1, 1, 0] });
    assert.deepEqual(fewer.kept, [0, 1, 0, 1, 0, 1, 0]);
    assert.deepEqual(run({ inputs: apart(3), weights: [2, 1, 2], kept: [0, 1, 0] }).kept, [1, 0, 0]);
  });

  test('gives up zeros that were kept, and keeps what it has where nothing comes in', () => {
    assert.deepEqual(run({ inputs: apart(3), weights: [0, 2, 0], kept: [1, 0, 0] }).kept, [0, 1, 0]);
    assert.deepEqual(run({ inputs: [[0, 0, 0]], weights: [1, 2, 3], kept: [1, 0, 0] }).swaps, 0);
    assert.deepEqual(run({ inputs: apart(2), weights: [1, 2], kept: [1, 1] }).swaps, 0);
  });

  test('makes a hundred exchanges at most', () => {
    const weights = Array.from({ length: 240 }, (_, i) => (i < 120 ? 1 : 2));
    const kept = weights.map((weight) => Number(weight === 1));
    assert.equal(run({ inputs: apart(240), weights, kept }).swaps, 100);
  });
});
