import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { countKept, keptIndices, packMask, unpackMask } from '../../src/core/keep-mask.ts';

test('packMask has bit i & 7 of byte i >> 3 for component i, and unpackMask what was packed', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean()), (kept) => {
      const mask = packMask(kept);
      assert.equal(mask.length, Math.ceil(kept.length / 8));
      const expected = kept.flatMap((keep, i) => (keep ? i : []));
      assert.deepEqual([...keptIndices(mask, kept.length)], expected);
      assert.equal(countKept(mask), expected.length);
      assert.deepEqual([...unpackMask(mask, kept.length)], kept.map(Number));
      assert.deepEqual(packMask(unpackMask(mask, kept.length)), mask);
    }),
  );
});
