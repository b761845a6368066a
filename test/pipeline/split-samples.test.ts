import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { splitSamples } from '../../src/pipeline/split-samples.ts';

const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 });

test('every sample is in one part, in its order, with those that it stays together with', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 200 }),
      fc.integer({ min: 1, max: 9 }),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      seeds,
      (units, atATime, share, seed) => {
        const { first, second } = splitSamples(units * atATime, atATime, share, seed) ?? assert.fail();
        assert.ok(first.length > 0 && second.length > 0);
        assert.deepEqual(
          [...first, ...second].sort((a, b) => a - b),
          Array.from({ length: units * atATime }, (_, place) => place),
        );
        for (const part of [first, second]) {
          assert.equal(part.length % atATime, 0);
          part.forEach((place, i) => {
            assert.equal(place % atATime, i % atATime);
            if (i > 0) assert.ok(place > part[i - 1]);
          });
        }
        const wanted = Math.min(units - 1, Math.ceil(units * share));
        assert.equal(second.length, wanted * atATime);
      },
    ),
  );
});

test('the seed alone draws, and every sample as often as others', () => {
  assert.deepEqual(splitSamples(100, 1, 0.5, 7), splitSamples(100, 1, 0.5, 7));
  assert.notDeepEqual(splitSamples(100, 1, 0.5, 7), splitSamples(100, 1, 0.5, 8));
  const drawn = new Float64Array(20);
  for (let seed = 0; seed < 2000; seed++)
    for (const place of splitSamples(20, 1, 0.25, seed)?.second ?? []) drawn[place]++;
  // 500 of 2,000 with a standard deviation of 19.4.
  for (const count of drawn) assert.ok(Math.abs(count - 500) < 90, `${drawn}`);
});

test('one batch is not parted', () => {
  assert.equal(splitSamples(8, 8, 0.5, 0), null);
  assert.equal(splitSamples(1, 1, 0.5, 0), null);
});
