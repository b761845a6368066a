import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { keptIndices } from '../../src/core/keep-mask.ts';
import { DEFAULT_CAPACITY } from '../../src/core/kernel.ts';
import { type Decision, decide, decideRows } from '../../src/core/threshold.ts';
import { assertClose, createRandom, decideBySorting, gaussian } from './oracle.ts';

const f32 = (scores: Float32Array) => ({ bytes: new Uint8Array(scores.buffer), dtype: 'float32' as const });

function assertDecided(got: Decision, scores: ArrayLike<number>, beta: number): void {
  const want = decideBySorting(scores, beta);
  assert.equal(got.nKeep, want.nKeep);
  assert.equal(got.threshold, want.threshold);
  assert.deepEqual([...keptIndices(got.keepMask, got.n)], want.kept);
  assertClose(got.nEff, want.nEff, 'nEff');
  assertClose(got.preservedMass, want.preservedMass, 'preservedMass');
  assert.ok(got.preservedMassBound <= got.preservedMass + 1e-7);
}

const beta = fc.double({ min: 0.01, max: 4, noNaN: true });
const notAllZero = (scores: ArrayLike<number>) => Array.from(scores).some((score) => score !== 0);
const smallFloats = fc.float({ noNaN: true, noDefaultInfinity: true });
const coarse = fc.integer({ min: -4, max: 4 });

describe('decide', () => {
  test('keeps what a sort keeps, ties by index', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(smallFloats, coarse), { minLength: 1, maxLength: 200 }),
        beta,
        async (scores, b) => {
          fc.pre(notAllZero(scores));
          assertDecided(await decide(Float64Array.from(scores), { beta: b }), scores, b);
          assertDecided(await decide(f32(Float32Array.from(scores)), { beta: b }), scores, b);
        },
      ),
    );
  });

  test('scaling by a power of two changes the threshold and nothing else', async () => {
    const exponent = fc.integer({ min: -900, max: 900 });
    const score = fc.double({ min: 1, max: 2, noNaN: true });
    await fc.assert(
      fc.asyncProperty(fc.array(score, { minLength: 1 }), exponent, async (scores, e) => {
        const plain = await decide(Float64Array.from(scores));
        const scaled = await decide(Float64Array.from(scores, (s) => s * 2 ** e));
        assert.deepEqual(scaled, { ...plain, threshold: plain.threshold * 2 ** e });
      }),
    );
  });

  test('the order of the scores does not change how many and which values are kept', async () => {
    const order = fc.array(fc.tuple(coarse, fc.nat()), { minLength: 1, maxLength: 300 });
    await fc.assert(
      fc.asyncProperty(order, beta, async (pairs, b) => {
        fc.pre(notAllZero(pairs.map(([score]) => score)));
        const given = pairs.map(([score]) => score);
        const permuted = pairs.toSorted((x, y) => x[1] - y[1]).map(([score]) => score);
        const [a, c] = [
          await decide(Float64Array.from(given), { beta: b }),
          await decide(Float64Array.from(permuted), { beta: b }),
        ];
        assert.deepEqual([a.nKeep, a.threshold], [c.nKeep, c.threshold]);
        assertClose(a.preservedMass, c.preservedMass, 'preservedMass', 1e-12);
      }),
    );
  });

  test('groups larger than a chunk: partial ties, borders of chunks and turns, several at a time', async () => {
    const random = createRandom(11);
    const draws = [
      gaussian,
      (r: () => number) => Math.round(gaussian(r) * 8) / 8,
      (r: () => number) => (r() < 0.9 ? 0 : 1),
    ];
    const sizes = [DEFAULT_CAPACITY, DEFAULT_CAPACITY + 1, 2 * DEFAULT_CAPACITY, 4 * DEFAULT_CAPACITY + 4097];
    await Promise.all(
      draws.flatMap((draw) =>
        sizes.map(async (n) => {
          const scores = Float32Array.from({ length: n }, () => draw(random));
          assertDecided(await decide(f32(scores), { beta: 0.7 }), scores, 0.7);
        }),
      ),
    );
  });

  test('float64, float16 and bfloat16 beyond a chunk', async () => {
    const random = createRandom(12);
    const scores = Float64Array.from({ length: DEFAULT_CAPACITY + 333 }, () => gaussian(random));
    assertDecided(await decide(scores), scores, 1);
    const half = Float16Array.from(scores);
    assertDecided(await decide({ bytes: new Uint8Array(half.buffer), dtype: 'float16' }), half, 1);
    const upper = Uint16Array.from(new Uint32Array(Float32Array.from(scores).buffer), (bits) => bits >>> 16);
    const brain = new Float32Array(Uint32Array.from(upper, (bits) => bits << 16).buffer);
    assertDecided(await decide({ bytes: new Uint8Array(upper.buffer), dtype: 'bfloat16' }), brain, 1);
  });

  test('bytes at an odd address', async () => {
    const scores = Float64Array.of(3, 1, 2, -5);
    const odd = new Uint8Array(33);
    odd.set(new Uint8Array(scores.buffer), 1);
    for (const sign of ['abs', 'shift', 'clamp'] as const) {
      assert.deepEqual(
        await decide({ bytes: odd.subarray(1), dtype: 'float64' }, { sign }),
        await decide(scores, { sign }),
      );
    }
  });

  test('an error in the middle leaves nothing behind for the next decision', async () => {
    const scores = new Float32Array(DEFAULT_CAPACITY * 2).fill(1);
    const expected = await decide(f32(scores));
    const bad = scores.with(DEFAULT_CAPACITY + 9, Number.NaN);
    await assert.rejects(decide(f32(bad), { group: 'a~b' }), {
      code: 'non_finite_score',
      findings: [
        { path: `/scores/a~0b/${DEFAULT_CAPACITY + 9}`, message: 'is NaN; scores must be finite numbers' },
      ],
    });
    assert.deepEqual(await decide(f32(scores)), expected);
  });

  test('bytes that are not whole numbers are refused', async () => {
    await assert.rejects(decide({ bytes: new Uint8Array(7), dtype: 'float32' }), { code: 'invalid_request' });
  });

  test('the event loop gets its turn during a large decision', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    await decide(f32(new Float32Array(1 << 23).fill(1)));
    clearInterval(timer);
    assert.ok(turns >= 3, `${turns} turns`);
  });
});

describe('decideRows', () => {
  test('decides each row as if it were alone, in every dtype', async () => {
    const random = createRandom(13);
    for (const [rows, length] of [
      [300, 17],
      [40, 4096],
      [9, 4099],
      [2, DEFAULT_CAPACITY + 5],
    ]) {
      const scores = Float32Array.from(
        { length: rows * length },
        () => Math.round(gaussian(random) * 99) / 99,
      );
      for (const sign of ['abs', 'shift', 'clamp'] as const) {
        const got = await decideRows(f32(scores), rows, { sign, beta: 0.9 });
        assert.equal(got.length, rows);
        for (let row = 0; row < rows; row += Math.ceil(rows / 10)) {
          const alone = scores.slice(row * length, (row + 1) * length);
          assert.deepEqual(got[row], await decide(f32(alone), { sign, beta: 0.9 }));
        }
      }
      assert.deepEqual(
        (await decideRows(Float64Array.from(scores), rows)).map(({ keepMask }) => keepMask),
        (await decideRows(f32(scores), rows)).map(({ keepMask }) => keepMask),
      );
    }
  });

  test('a row of one score keeps it', async () => {
    for (const { nKeep, keepMask } of await decideRows(Float64Array.of(3, -2, 1e-300), 3)) {
      assert.deepEqual([nKeep, ...keepMask], [1, 1]);
    }
  });

  test('errors name the row', async () => {
    const scores = Float64Array.of(1, 2, 3, 4, Number.NaN, 6);
    const path = (expected: string) => (error: { findings: { path: string }[] }) =>
      error.findings[0].path === expected;
    await assert.rejects(decideRows(scores, 3), path('/scores/2/0'));
    await assert.rejects(decideRows(Float64Array.of(1, 2, 0, 0), 2), path('/scores/1'));
    await assert.rejects(decideRows(Float64Array.of(1, 2, 3), 2), { code: 'invalid_request' });
    await assert.rejects(decideRows(new Float64Array(0), 2), { code: 'empty_scores' });
  });
});

test('distributions land where their moments say', async () => {
  const random = createRandom(14);
  const n = 1 << 20;
  const laplace = (r: () => number) => Math.log(1 - r());
  for (const [draw, density] of [
    [gaussian, 2 / Math.PI],
    [(r: () => number) => r(), 3 / 4],
    [laplace, 1 / 2],
  ] as const) {
    const decision = await decide(f32(Float32Array.from({ length: n }, () => draw(random))));
    assert.ok(Math.abs(decision.nEff / n - density) < 0.003, `${decision.nEff / n}, expected ${density}`);
    assert.ok(Math.abs(decision.density - density) < 0.003);
  }
});
