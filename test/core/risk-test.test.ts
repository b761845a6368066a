import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { bettingPValue } from '../../src/core/bets.ts';
import { binomialAtMost, clopperPearson } from '../../src/core/binomial.ts';
import { pairedPValue, tangoStatistic } from '../../src/core/paired-test.ts';
import { RandomWords } from '../../src/core/random-words.ts';
import {
  flipsTest,
  type PairedRisk,
  type RiskTest,
  riskOf,
  riskPValue,
  riskStandardError,
  samplesNeeded,
} from '../../src/core/risk-test.ts';
import { PAIRED_VECTORS } from './paired-vectors.ts';

const ALPHA = 0.05;
const BETS: RiskTest = { name: 'mixture_of_bets', ceiling: 1, isTwoSided: true };

/** Samples of which so many flip each way. */
function flips(n: number, harmful: number, helpful: number): PairedRisk {
  const cost = Float64Array.from({ length: n }, (_, i) => (i < harmful ? 1 : i < harmful + helpful ? -1 : 0));
  return { cost, weight: new Float64Array(n).fill(1) };
}

describe('the exact paired test', () => {
  for (const [n, limit, harmful, helpful, statistic, p] of PAIRED_VECTORS) {
    test(`of ${harmful} and ${helpful} flips among ${n} at ${limit}`, () => {
      const seen = { n, harmful, helpful };
      assert.ok(Math.abs(tangoStatistic(seen, limit) - statistic) < 5e-6);
      assert.ok(Math.abs(pairedPValue(seen, limit, ALPHA) - p) < 5e-7);
    });
  }

  test('rejects a true drop of exactly the limit in at most 5 % of samples', () => {
    const [n, limit, helps] = [400, 0.02, 0.02];
    const random = new RandomWords(3);
    let rejected = 0;
    for (let round = 0; round < 400; round++) {
      let [harmful, helpful] = [0, 0];
      for (let i = 0; i < n; i++) {
        const share = random.nextShare();
        if (share <= helps + limit) harmful++;
        else if (share <= 2 * helps + limit) helpful++;
      }
      if (pairedPValue({ n, harmful, helpful }, limit, ALPHA) <= ALPHA) rejected++;
    }
    // 5 % and three standard errors of 400 rounds.
    assert.ok(rejected / 400 <= ALPHA + 0.033, `${rejected}`);
    assert.ok(rejected > 0, 'it has power at all');
  });
});

describe('binomial probabilities', () => {
  test('add up to 1 and follow the closed forms at the ends', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 500 }),
        fc.double({ min: 0.001, max: 0.999, noNaN: true }),
        (n, p) => {
          assert.ok(Math.abs(binomialAtMost(n, n, p) - 1) < 1e-11);
          const none = (1 - p) ** n;
          assert.ok(Math.abs(binomialAtMost(0, n, p) - none) <= 1e-9 * none + 1e-300);
          assert.ok(Math.abs(1 - binomialAtMost(n - 1, n, p) - p ** n) < 1e-11);
        },
      ),
    );
  });

  test('an interval misses what it was made from at each end with its tail', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (n, share) => {
          const k = Math.round(n * share);
          const [low, high] = clopperPearson(k, n, 0.01);
          assert.ok(low <= k / n && k / n <= high);
          if (k < n) assert.ok(Math.abs(binomialAtMost(k, n, high) - 0.01) < 1e-9);
          if (k > 0) assert.ok(Math.abs(1 - binomialAtMost(k - 1, n, low) - 0.01) < 1e-9);
        },
      ),
    );
  });
});

describe('a mixture of bets', () => {
  const values = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 1, maxLength: 60 });

  test('does not depend on the order', () => {
    fc.assert(
      fc.property(values, (numbers) => {
        const there = bettingPValue(Float64Array.from(numbers), 1);
        const back = bettingPValue(Float64Array.from(numbers.toReversed()), 1);
        assert.ok(Math.abs(there - back) <= 1e-12 * there);
      }),
    );
  });

  test('is the mean capital of six stakes', () => {
    const numbers = [-0.5, 0.25, -0.125];
    const capital = (g: number) => numbers.reduce((product, x) => product * (1 - g * x), 1);
    const mean = [0.03, 0.1, 0.25, 0.5, 0.75, 0.97].reduce((sum, g) => sum + capital(g), 0) / 6;
    assert.ok(Math.abs(bettingPValue(Float64Array.from(numbers), 1) - 1 / mean) < 1e-12);
  });

  test('is 1 where the mean is at the limit without chance, and holds however often it is seen', () => {
    assert.equal(bettingPValue(new Float64Array(50), 1), 1);
    const seen = new Float64Array([-0.2]);
    assert.ok(Math.abs(bettingPValue(seen, 1, 3) - bettingPValue(new Float64Array(3).fill(-0.2), 1)) < 1e-15);
  });
});

describe('a risk', () => {
  test('is a ratio of sums, with the standard error of a mean where weights are equal', () => {
    const risk = flips(200, 10, 4);
    assert.ok(Math.abs(riskOf(risk) - 0.03) < 1e-15);
    const variance = risk.cost.reduce((sum, x) => sum + (x - 0.03) ** 2, 0) / 199;
    assert.ok(Math.abs(riskStandardError(risk) - Math.sqrt(variance / 200)) < 1e-15);
  });

  test('samples without weight do not count', () => {
    const risk = flips(400, 3, 0);
    const padded = {
      cost: Float64Array.from([...risk.cost, ...new Float64Array(100)]),
      weight: Float64Array.from([...risk.weight, ...new Float64Array(100)]),
    };
    for (const test of [{ name: 'binomial' }, flipsTest(400, 0.02), BETS] as RiskTest[])
      assert.equal(riskPValue(padded, 0.02, test, ALPHA), riskPValue(risk, 0.02, test, ALPHA));
  });

  test('of a bound that is 0 or not a number nothing is shown', () => {
    const same = flips(500, 0, 0);
    for (const ceiling of [0, Number.MIN_VALUE, Number.NaN])
      assert.equal(riskPValue(same, 0.1, { ...BETS, ceiling }, ALPHA), 1);
    assert.equal(riskPValue(same, 0, { ...BETS, isTwoSided: false }, ALPHA), 1);
    assert.equal(samplesNeeded({ name: 'binomial' }, 1e-300, ALPHA, 1), Number.POSITIVE_INFINITY);
  });

  test('the paired test is a number between its interval and 1, whatever flips', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 5, max: 120 }),
        fc.double({ min: 0.001, max: 0.9, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (n, limit, share, helpfulShare) => {
          const flipped = Math.round(n * share);
          const helpful = Math.round(flipped * helpfulShare);
          const p = pairedPValue({ n, harmful: flipped - helpful, helpful }, limit, ALPHA);
          assert.ok(p >= ALPHA / 50 && p <= 1, `${p}`);
        },
      ),
    );
  });

  test('costs that are not finite speak against it as much as any can', () => {
    const risk = {
      cost: Float64Array.from([Number.NaN, Number.POSITIVE_INFINITY, 7]),
      weight: new Float64Array(3),
    };
    const most = { cost: new Float64Array(3).fill(1), weight: new Float64Array(3) };
    assert.equal(riskPValue(risk, 0.1, BETS, ALPHA), riskPValue(most, 0.1, BETS, ALPHA));
  });
});

describe('the samples that a promise needs', () => {
  test('are 598, 299 and 149 for half a point, one and two', () => {
    const needed = [0.005, 0.01, 0.02].map((limit) =>
      samplesNeeded({ name: 'exact_paired' }, limit, ALPHA, 1),
    );
    assert.deepEqual(needed, [598, 299, 149]);
  });

  test('are the fewest that pass without any change', () => {
    const tests = fc.constantFrom<RiskTest>({ name: 'binomial' }, BETS);
    fc.assert(
      fc.property(tests, fc.double({ min: 0.004, max: 0.3, noNaN: true }), (by, limit) => {
        const n = samplesNeeded(by, limit, ALPHA, 1);
        assert.ok(riskPValue(flips(n, 0, 0), limit, by, ALPHA) <= ALPHA);
        assert.ok(riskPValue(flips(n - 1, 0, 0), limit, by, ALPHA) > ALPHA);
      }),
      { numRuns: 50 },
    );
  });

  test('of a limit of 0 no number is enough', () => {
    assert.equal(samplesNeeded({ name: 'binomial' }, 0, ALPHA, 1), Number.POSITIVE_INFINITY);
    assert.equal(riskPValue(flips(1000, 0, 0), 0, { name: 'binomial' }, ALPHA), 1);
  });
});
