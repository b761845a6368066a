import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { searchSize } from '../../src/pipeline/search-size.ts';
import {
  keepsLimit,
  reachedSpeed,
  type SpeedTarget,
  shareOfAllowed,
} from '../../src/report/speed-judgement.ts';

const ms = fc.double({ min: 1e-3, max: 1e4, noNaN: true });
const anyRounds = fc
  .array(fc.tuple(ms, ms), { minLength: 6, maxLength: 50 })
  .map((rounds) => ({ dense: rounds.map(([dense]) => dense), pruned: rounds.map(([, pruned]) => pruned) }));
const anyTarget: fc.Arbitrary<SpeedTarget> = fc.oneof(
  fc.record({
    name: fc.constant('min_speedup' as const),
    limit: fc.double({ min: 1.01, max: 100, noNaN: true }),
  }),
  fc.record({ name: fc.constant('max_latency_ms' as const), limit: ms }),
);

describe('a target of speed', () => {
  test('is kept by the whole of an ordered interval, or not at all', () => {
    fc.assert(
      fc.property(anyTarget, anyRounds, (target, rounds) => {
        const reached = reachedSpeed(target, rounds);
        assert.ok(reached.low <= reached.reached && reached.reached <= reached.high);
        const isFaster = target.name === 'min_speedup';
        const inside = [reached.low, reached.reached, reached.high].map((value) =>
          isFaster ? value >= target.limit : value <= target.limit,
        );
        assert.equal(keepsLimit(target, reached), inside.every(Boolean));
      }),
    );
  });

  test('is searched with a margin: what is within keeps the limit, and less noise or less time never loses it', () => {
    fc.assert(
      fc.property(anyTarget, anyRounds, ms, (target, rounds, factor) => {
        const share = shareOfAllowed(target, reachedSpeed(target, rounds));
        if (share <= 1) assert.ok(keepsLimit(target, reachedSpeed(target, rounds)));
        const pruned = rounds.pruned.map((value) => value / (1 + factor));
        assert.ok(shareOfAllowed(target, reachedSpeed(target, { ...rounds, pruned })) <= share);
      }),
    );
  });

  test('without noise is the plain quotient', () => {
    const rounds = { dense: Array(9).fill(6), pruned: Array(9).fill(2) };
    const speedup = { name: 'min_speedup', limit: 3 } as const;
    assert.deepEqual(reachedSpeed(speedup, rounds), { reached: 3, low: 3, high: 3 });
    assert.equal(shareOfAllowed({ ...speedup, limit: 6 }, reachedSpeed(speedup, rounds)), 2);
    const latency = { name: 'max_latency_ms', limit: 4 } as const;
    assert.equal(shareOfAllowed(latency, reachedSpeed(latency, rounds)), 0.5);
    assert.deepEqual(
      [3, 3.1].map((limit) => keepsLimit({ ...speedup, limit }, { reached: 3, low: 3, high: 3 })),
      [true, false],
    );
  });

  test('takes the largest beta that keeps it, of noisy measurements too, in few', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.double({ min: 1.1, max: 6, noNaN: true }),
        fc.double({ min: 0, max: 0.05, noNaN: true }),
        fc.infiniteStream(fc.double({ min: -1, max: 1, noNaN: true })),
        async (limit, noise, stream) => {
          const target = { name: 'min_speedup', limit } as const;
          const jitter = () => 1 + noise * (stream.next().value ?? 0);
          const { point, isWithin, evaluations } = await searchSize(
            1,
            async (beta) => {
              const kept = Math.min(1, beta / 4);
              const dense = Array.from({ length: 15 }, () => 10 * jitter());
              const pruned = dense.map(() => (1 + 9 * kept) * jitter());
              const reached = reachedSpeed(target, { dense, pruned });
              const size = shareOfAllowed(target, reached);
              return { point: { beta, sparsity: 1 - kept, size, ...reached }, isNew: true };
            },
            { most: 8, close: 0.02, margin: 0.15 },
          );
          assert.ok(isWithin && keepsLimit(target, point) && evaluations.length <= 9);
          assert.ok(evaluations.every(({ beta, size }) => size > 1 || beta <= point.beta));
        },
      ),
    );
  });
});
