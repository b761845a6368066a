import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { medianInterval, medianOf } from '../../src/core/median.ts';

const values = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 6, maxLength: 60 });

/** `P(Bin(n, 1/2) <= k)` by Pascal's triangle. */
function fewOrFewer(k: number, n: number): number {
  let row = [1];
  for (let i = 0; i < n; i++)
    row = Array.from({ length: row.length + 1 }, (_, j) => ((row[j - 1] ?? 0) + (row[j] ?? 0)) / 2);
  return row.slice(0, k + 1).reduce((sum, p) => sum + p, 0);
}

describe('the interval of a median', () => {
  test('lies around it, between values as far from either end as the confidence allows and no farther', () => {
    fc.assert(
      fc.property(values, fc.constantFrom(0.5, 0.9, 0.95), (given, confidence) => {
        const [low, high] = medianInterval(given, confidence);
        const median = medianOf(given);
        assert.ok(low <= median && median <= high);
        const sorted = given.toSorted((a, b) => a - b);
        const tail = (1 - confidence) / 2;
        const beyond = sorted.findIndex((_, i) => fewOrFewer(i, given.length) > tail) - 1;
        assert.deepEqual([low, high], [sorted[beyond], sorted[given.length - 1 - beyond]]);
      }),
    );
  });

  test('is not that of too few values', () => {
    // 2 / 2^5 is more than 5 %, 2 / 2^6 is less.
    assert.throws(() => medianInterval([1, 2, 3, 4, 5], 0.95), RangeError);
    assert.deepEqual(medianInterval([6, 1, 5, 2, 4, 3], 0.95), [1, 6]);
    assert.throws(() => medianInterval([], 0), RangeError);
  });
});
