import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { preservedMassBound, preservedMassBoundPaper } from '../../src/core/bounds.ts';
import { assertClose, decideBySorting } from './oracle.ts';

/** `weight` of the mass spread flat over `a` components, the rest over `b` of `n`. */
const twoFlat = (n: number, a: number, b: number, weight: number) =>
  Array.from({ length: n }, (_, i) => (i < a ? weight / a : 0) + (i < b ? (1 - weight) / b : 0));

const scores = fc.oneof(
  fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 60 }),
  fc
    .record({
      n: fc.integer({ min: 2, max: 60 }),
      a: fc.nat(),
      b: fc.nat(),
      weight: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    .map(({ n, a, b, weight }) => twoFlat(n, 1 + (a % n), 1 + (b % n), weight)),
);

test('no vector keeps less than either bound says, at any beta', () => {
  fc.assert(
    fc.property(scores, fc.double({ min: 0.05, max: 3, noNaN: true }), (vector, beta) => {
      fc.pre(vector.some((score) => score > 1e-9));
      const { nEff, nKeep, preservedMass } = decideBySorting(vector, beta);
      const n = vector.length;
      // Where N_eff is rounded to the wrong side of 1/j the root magnifies 1e-16 to 1e-8.
      assert.ok(preservedMassBound(n, nEff, nKeep) <= preservedMass + 1e-7);
      const paper = preservedMassBoundPaper(n, nKeep, beta);
      if (paper !== null) assert.ok(paper <= preservedMass + 1e-12);
    }),
    { numRuns: 5000 },
  );
});

/** Flat over `a` components mixed with flat over `b`, in the proportion that makes the effective sample size `nEff`. */
function mixture(n: number, a: number, b: number, nEff: number): number[] {
  const weight = a === b ? 0 : Math.sqrt(Math.max(0, 1 / nEff - 1 / b) / (1 / a - 1 / b));
  return twoFlat(n, a, b, weight);
}

test('the bound is reached: the worst vectors are mixtures of two flat ones', () => {
  const cases = fc.record({
    n: fc.integer({ min: 2, max: 200 }),
    effective: fc.double({ min: 0, max: 1, noNaN: true }),
    kept: fc.nat(),
  });
  fc.assert(
    fc.property(cases, ({ n, effective, kept }) => {
      const nEff = 1 + effective * (n - 1);
      const nKeep = 1 + (kept % (n - 1));
      const worst = [
        mixture(n, 1, Math.max(nKeep + 1, Math.ceil(nEff)), nEff),
        mixture(n, 1, n, nEff),
        ...(nKeep < Math.floor(nEff) ? [mixture(n, Math.floor(nEff), Math.floor(nEff) + 1, nEff)] : []),
      ];
      const masses = worst.map((vector) => vector.slice(0, nKeep).reduce((x, y) => x + y, 0));
      assertClose(preservedMassBound(n, nEff, nKeep), Math.min(...masses), 'bound', 1e-7);
    }),
    { numRuns: 2000 },
  );
});

test('nothing dropped, everything kept', () => {
  assert.equal(preservedMassBound(1, 1, 1), 1);
  assert.equal(preservedMassBound(10, 3.5, 10), 1);
  assert.equal(preservedMassBoundPaper(10, 10, 1), null);
});

test('the rounding of N_eff does not lift the bound above what a flat vector keeps', () => {
  for (const nEff of [9 * (1 - 2 ** -52), 9, 9 * (1 + 2 ** -52)]) {
    for (let nKeep = 1; nKeep < 9; nKeep++) {
      assertClose(preservedMassBound(9, nEff, nKeep), nKeep / 9, `${nKeep} of 9`, 1e-12);
      assert.ok(preservedMassBound(20, nEff, nKeep) <= (nKeep / 9) * (1 + 1e-12));
    }
  }
});

test("the paper's bound is null where it is false", () => {
  assert.equal(preservedMassBoundPaper(3, 1, 1), null);
  assert.equal(preservedMassBoundPaper(1000, 500, 0.5), null);
  assert.equal(typeof preservedMassBoundPaper(1000, 500, 1), 'number');
});
