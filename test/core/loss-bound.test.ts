import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { countKept, sumDroppedSquares } from '../../src/core/keep-mask.ts';
import { BLOCK } from '../../src/core/kernel.ts';
import { asymptoticLossChange, lossChangePerTrace } from '../../src/core/loss-bound.ts';

test('the factor of the trace, by hand', () => {
  // rho = 1/2: 0.5 / (2 * 4 * 0.5) * 0.8
  assert.equal(lossChangePerTrace(4, 2, 0.8), 0.1);
  assert.equal(lossChangePerTrace(4, 4, 0), 0);
});

test('equation 5, by hand', () => {
  // rho = 1/2: 2^2 * 3 * (1/16) / 1 * (1 - sqrt(1/4))^2
  assert.equal(asymptoticLossChange(4, 2, 2, 3), 0.1875);
  assert.equal(asymptoticLossChange(4, 4, 2, 3), 0);
});

test('squares of what a mask drops are summed by block, at any scale', () => {
  const scores = fc.array(fc.tuple(fc.integer({ min: -1000, max: 1000 }), fc.boolean()), {
    minLength: 1,
    maxLength: 40,
  });
  fc.assert(
    fc.property(
      scores,
      fc.constantFrom(0, BLOCK - 20),
      fc.constantFrom(-700, 0, 700),
      (drawn, gap, exponent) => {
        const n = gap + drawn.length;
        const values = new Float64Array(n).fill(0.5);
        const keepMask = new Uint8Array(Math.ceil(n / 8));
        for (let i = 0; i < n; i++) keepMask[i >> 3] |= 1 << (i & 7);
        for (const [i, [score, keep]] of drawn.entries()) {
          values[gap + i] = score * 2 ** -exponent;
          if (!keep) keepMask[(gap + i) >> 3] &= ~(1 << ((gap + i) & 7));
        }
        const sums = new Float64Array(1 + Math.ceil(n / BLOCK)).fill(-1);
        sumDroppedSquares(values, keepMask, 2 ** exponent, sums, 1);
        const dropped = drawn.filter(([, keep]) => !keep);
        assert.equal(countKept(keepMask), n - dropped.length);
        const expected = dropped.reduce((sum, [score]) => sum + score ** 2, 0);
        const found = sums.slice(1).reduce((sum, value) => sum + value, 0);
        assert.ok(Math.abs(found - expected) <= 1e-14 * expected, `${found}, not ${expected}`);
        assert.equal(sums[0], -1);
      },
    ),
  );
});
