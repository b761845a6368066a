import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { RADIX_BINS } from '../../src/core/kernel.ts';
import { PlainKernel } from '../../src/core/plain-kernel.ts';
import { statisticsOfBlocks } from '../../src/core/statistics.ts';
import { WasmKernel } from '../../src/core/wasm-kernel.ts';
import { createScoreDistribution } from '../../src/report/score-distribution.ts';

const [wasm, plain] = [new WasmKernel(4096), new PlainKernel(4096)];

/** The distribution of a score vector of one chunk, by the kernel that takes its dtype. */
function distributionOf(scores: Float32Array | Float64Array) {
  const kernel = scores instanceof Float32Array ? wasm : plain;
  const dtype = scores instanceof Float32Array ? 'float32' : 'float64';
  kernel.input(dtype, scores.length).set(new Uint8Array(scores.buffer));
  kernel.load(dtype, scores.length);
  const partials = new Float64Array(3 * Math.ceil(scores.length / 4096));
  kernel.summarize(partials, 0);
  const histogram = Float64Array.from(kernel.takeHistogram());
  assert.equal(histogram.length, RADIX_BINS);
  return createScoreDistribution({
    histogram,
    keyDigits: kernel.digits,
    statistics: statisticsOfBlocks(partials, scores.length),
  });
}

const magnitudes = fc.double({ min: 1e-30, max: 1e30, noNaN: true });
const vectors = fc.array(fc.oneof(fc.constant(0), magnitudes), { minLength: 1, maxLength: 300 });

describe('how all scores are distributed', () => {
  for (const Numbers of [Float32Array, Float64Array]) {
    test(`${Numbers.name}: every score is in its bin`, () => {
      fc.assert(
        fc.property(vectors, (values) => {
          const scores = Numbers.from(values);
          const { edges, counts, zero } = distributionOf(scores);
          const within = (i: number) => scores.filter((s) => s >= edges[i] && s < edges[i + 1]).length;
          assert.deepEqual(
            counts,
            counts.map((_, i) => within(i)),
          );
          assert.equal(zero, scores.filter((s) => edges.length === 0 || s < edges[0]).length);
          assert.equal(
            counts.reduce((sum, count) => sum + count, zero),
            scores.length,
          );
        }),
      );
    });

    test(`${Numbers.name}: the Lorenz curve is the share of the mass that the largest scores hold`, () => {
      fc.assert(
        fc.property(vectors, (values) => {
          const scores = Numbers.from(values).toSorted().toReversed();
          const total = Array.from(scores).reduce((sum, score) => sum + score, 0);
          fc.pre(total > 0);
          const { lorenz } = distributionOf(scores);
          assert.deepEqual(
            [lorenz[0], lorenz.at(-1)],
            [
              [0, 0],
              [1, 1],
            ],
          );
          const tolerance = Numbers === Float32Array ? 0.005 : 0.04;
          for (const [kept, mass] of lorenz.slice(0, -1)) {
            const largest = Array.from(scores.subarray(0, Math.round(kept * scores.length)));
            const held = largest.reduce((sum, score) => sum + score, 0);
            assert.ok(
              Math.abs(held / total - mass) <= tolerance,
              `${kept}: ${mass}, exactly ${held / total}`,
            );
          }
        }),
      );
    });
  }

  test('scores that are all zero have no N_eff and no bins', () => {
    const { n_eff, edges, counts, zero, lorenz } = distributionOf(new Float32Array(7));
    assert.deepEqual({ n_eff, edges, counts, zero }, { n_eff: null, edges: [], counts: [], zero: 7 });
    assert.deepEqual(lorenz, [
      [0, 0],
      [1, 1],
    ]);
  });

  test('the largest float32 and float64 have a bin', () => {
    for (const scores of [Float32Array.of(3.4e38, 1), Float64Array.of(Number.MAX_VALUE, 1e300)]) {
      const { edges, counts } = distributionOf(scores);
      assert.ok(edges.every(Number.isFinite));
      assert.equal(counts.at(-1), 1);
    }
  });
});
