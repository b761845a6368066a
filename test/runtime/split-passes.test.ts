import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { splitPasses } from '../../src/runtime/split-passes.ts';

const sum = (sizes: readonly number[]) => sizes.reduce((total, size) => total + size, 0);

test('passes keep the order, fit, and end only where the next item would not', () => {
  const [items, mostSize] = [fc.array(fc.nat(9)), fc.nat(20)];
  const check = (sizes: number[], size: number, count: number) => {
    const passes = splitPasses(sizes, (own) => own, size, count);
    assert.deepEqual(passes.flat(), sizes);
    for (const [i, pass] of passes.entries()) {
      assert.ok(pass.length === 1 || (pass.length <= count && sum(pass) <= size));
      const next = passes[i + 1]?.[0];
      assert.ok(next === undefined || pass.length === count || sum(pass) + next > size);
    }
  };
  fc.assert(fc.property(items, mostSize, fc.integer({ min: 1, max: 5 }), check));
});
