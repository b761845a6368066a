import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createGaussian } from '../../bench/gaussian.ts';
import { isVanished, leastVariance, PairedSpread } from '../../src/runtime/output-spread.ts';

const SAMPLES = 50;

function numbersOf(seed: number, size: number): Float64Array {
  const numbers = new Float32Array(SAMPLES * size);
  createGaussian(seed)(numbers);
  return Float64Array.from(numbers);
}

function figuresOf(dense: Float64Array, pruned: Float64Array, size: number) {
  const spread = new PairedSpread();
  for (let from = 0; from < dense.length; from += size) spread.add(dense, pruned, from, size);
  return spread.figures;
}

describe('what is left of the variance of outputs', () => {
  const dense = numbersOf(1, 3);

  test('is the square of what they are scaled by, whatever is added to them', () => {
    for (const [scale, offset] of [
      [1, 0],
      [0.5, 1e4],
      [0, 7],
    ]) {
      const pruned = dense.map((number) => scale * number + offset);
      const { kept } = figuresOf(dense, pruned, 3);
      assert.ok(Math.abs((kept ?? 1) - scale ** 2) < 1e-6, `${kept}`);
      assert.equal(isVanished({ kept, explained: null }), scale === 0);
    }
  });

  test('is explained wholly by the same outputs, and not at all by their means', () => {
    const means = [0, 1, 2].map(
      (place) => dense.reduce((sum, number, i) => sum + (i % 3 === place ? number : 0), 0) / SAMPLES,
    );
    assert.deepEqual(figuresOf(dense, dense, 3), { kept: 1, explained: 1 });
    const { explained } = figuresOf(
      dense,
      dense.map((_, i) => means[i % 3]),
      3,
    );
    assert.ok(Math.abs(explained ?? 1) < 1e-9, `${explained}`);
  });

  test('is nothing to speak of where the dense outputs vary by rounding alone, and where they are not finite', () => {
    const still = dense.map((number) => 1000 + 1e-6 * number);
    assert.deepEqual(figuresOf(still, still.fill(1000), 3), { kept: null, explained: null });
    const broken = dense.map((number, i) => (i === 4 ? Number.NaN : number));
    assert.deepEqual(figuresOf(dense, broken, 3), { kept: null, explained: null });
  });

  test('is that of some numbers of large outputs', () => {
    const size = 100_000;
    const large = numbersOf(2, size);
    const { kept, explained } = figuresOf(
      large,
      large.map((number) => 0.5 * number),
      size,
    );
    assert.ok(Math.abs((kept ?? 0) - 0.25) < 1e-6 && Math.abs((explained ?? 0) - 0.75) < 0.01);
  });

  test('of several outputs is the least', () => {
    const known = [
      { kept: 0.5, explained: null },
      { kept: null, explained: 0.2 },
      { kept: 0.7, explained: 0.1 },
    ];
    assert.deepEqual(leastVariance(known), { kept: 0.5, explained: 0.1 });
  });
});
