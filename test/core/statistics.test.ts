import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { BLOCK, BLOCK_PARTIALS } from '../../src/core/kernel.ts';
import { PlainKernel } from '../../src/core/plain-kernel.ts';
import {
  BlockAccumulator,
  effectiveSampleSize,
  keepCount,
  keepCountForSparsity,
  type ScoreStatistics,
  statisticsOfBlocks,
} from '../../src/core/statistics.ts';
import { assertClose, createRandom, gaussian } from './oracle.ts';

const kernel = new PlainKernel();

function partialsOf(scores: Float64Array): Float64Array {
  const partials = new Float64Array(Math.ceil(scores.length / BLOCK) * BLOCK_PARTIALS);
  kernel
    .input('float64', scores.length)
    .set(new Uint8Array(scores.buffer, scores.byteOffset, scores.byteLength));
  kernel.load('float64', scores.length);
  kernel.statistics(partials, 0);
  return partials;
}

function statisticsOf(scores: Float64Array): ScoreStatistics {
  return statisticsOfBlocks(partialsOf(scores), scores.length);
}

const random = createRandom(7);
/** Blocks near 1e-310, 1 and 1e300, in every order. */
const scales = [1, 1e300, 1e-310, 1, 1e-310, 1e300].map((scale) =>
  Float64Array.from({ length: BLOCK }, () => (1 + random()) * scale),
);

describe('block statistics', () => {
  test('adding blocks in parts gives the same bits as adding them at once', () => {
    const scores = Float64Array.from({ length: 20 * BLOCK + 5 }, () => gaussian(random));
    for (const parts of [scales, [scores]]) {
      const all = Float64Array.from(parts.flatMap((part) => [...part]));
      const partials = partialsOf(all);
      const accumulator = new BlockAccumulator();
      for (let block = 0; block * BLOCK < all.length; block++) {
        accumulator.addBlocks(partials, Math.min(BLOCK, all.length - block * BLOCK), block * BLOCK_PARTIALS);
      }
      assert.deepEqual(accumulator.statistics, statisticsOf(all));
    }
  });

  test('blocks 600 orders of magnitude apart add up as if the small ones were zero', () => {
    const all = statisticsOf(Float64Array.from(scales.flatMap((block) => [...block])));
    const large = statisticsOf(Float64Array.from([...scales[1], ...scales[5]]));
    assert.deepEqual({ ...all, n: 0 }, { ...large, n: 0 });
  });

  test('blocks on either side of a change of scale both count', () => {
    const below = new Float64Array(BLOCK).fill(2 ** -401);
    const above = new Float64Array(BLOCK).fill(2 ** -399);
    for (const blocks of [
      [below, above],
      [above, below],
    ]) {
      const nEff = effectiveSampleSize(
        statisticsOf(Float64Array.from(blocks.flatMap((block) => [...block]))),
      );
      assertClose(nEff, (BLOCK * (1 + 4) ** 2) / (1 + 4 ** 2), 'nEff');
    }
  });

  test('merging parts gives the statistics of the whole', () => {
    const score = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(fc.array(score, { minLength: 1 }), fc.array(score, { minLength: 1 }), (a, b) => {
        const accumulator = new BlockAccumulator();
        for (const part of [a, b]) accumulator.addBlocks(partialsOf(Float64Array.from(part)), part.length);
        const merged = accumulator.statistics;
        const whole = statisticsOf(Float64Array.from([...a, ...b]));
        assert.deepEqual(
          [merged.n, merged.max, merged.scaleExponent],
          [whole.n, whole.max, whole.scaleExponent],
        );
        assertClose(merged.sum, whole.sum, 'sum', 1e-14);
        assertClose(merged.sumOfSquares, whole.sumOfSquares, 'sumOfSquares', 1e-14);
      }),
    );
  });

  test('the largest score is NaN or Infinity wherever there is one', () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const scores = new Float64Array(3 * BLOCK).fill(1);
      scores[BLOCK + 7] = bad;
      assert.equal(statisticsOf(scores).max, bad);
    }
  });
});

describe('how many to keep', () => {
  test('equal scores are all kept, whatever their number and value', () => {
    for (const value of [0.1, 1 / 3, 1e300, 3e-310, 0.7]) {
      for (const n of [1, 2, 3, 49, 1000, 4095, 4097, 99_999, 262_144]) {
        const nEff = effectiveSampleSize(statisticsOf(new Float64Array(n).fill(value)));
        assert.equal(keepCount(nEff, 1, n), n);
      }
    }
  });

  test('at least one and at most all are kept', () => {
    assert.equal(keepCount(50, 1e-9, 100), 1);
    assert.equal(keepCount(50, 1e9, 100), 100);
    assert.equal(keepCount(50.9, 1, 100), 50);
  });

  test('beta must be a finite number above 0', () => {
    for (const beta of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => keepCount(5, beta, 10), {
        code: 'invalid_beta',
        findings: [{ path: '/beta', message: 'must be a finite number above 0' }],
      });
    }
  });

  test('a fixed sparsity drops that many, without losing one to rounding', () => {
    for (let percent = 0; percent < 100; percent++) {
      for (const n of [100, 1000, 12_300]) {
        assert.equal(keepCountForSparsity(n, percent / 100), (n * (100 - percent)) / 100);
      }
    }
    assert.equal(keepCountForSparsity(10, 0.36), 7);
    assert.equal(keepCountForSparsity(3, 0.999), 1);
    assert.equal(keepCountForSparsity(1, 0.5), 1);
  });

  test('a sparsity outside [0, 1) is refused', () => {
    for (const sparsity of [1, -0.1, Number.NaN]) {
      assert.throws(() => keepCountForSparsity(10, sparsity), { code: 'invalid_request' });
    }
  });
});
