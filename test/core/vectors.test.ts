// vectors.json was computed from the definitions by independent Python code in exact fractions; it is a copy of
// fixtures/vectors.json of the project's shared material.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EmpError } from '../../src/core/errors.ts';
import { keptIndices } from '../../src/core/keep-mask.ts';
import { decide, type Sign } from '../../src/core/threshold.ts';
import { assertClose } from './oracle.ts';
import vectors from './vectors.json' with { type: 'json' };

const numbers = (scores: readonly (number | string)[]) => Float64Array.from(scores, Number);
const asFloat32 = (scores: readonly (number | string)[]) => ({
  bytes: new Uint8Array(Float32Array.from(scores, Number).buffer),
  dtype: 'float32' as const,
});

describe('exact vectors', () => {
  for (const { name, scores, expected } of vectors.cases) {
    for (const want of expected) {
      test(`${name}, beta ${want.beta}`, async () => {
        const got = await decide(numbers(scores), { beta: want.beta });
        assert.equal(got.n, scores.length);
        assert.equal(got.nKeep, want.n_keep);
        assert.deepEqual([...keptIndices(got.keepMask, got.n)], want.kept_indices);
        assertClose(got.nEff, want.n_eff, 'nEff');
        assertClose(got.threshold, want.threshold, 'threshold');
        assertClose(got.preservedMass, want.preserved_mass, 'preservedMass');
        assertClose(got.density, want.n_keep / scores.length, 'density');
        assertClose(got.sparsity + got.density, 1, 'sparsity');
        assertClose(got.preservedMassBound, want.preserved_mass_bound, 'preservedMassBound');
        assert.ok(got.preservedMassBound <= want.preserved_mass_bound * (1 + 1e-12));
        if (want.preserved_mass_bound_paper === null) assert.equal(got.preservedMassBoundPaper, null);
        else assertClose(got.preservedMassBoundPaper ?? Number.NaN, want.preserved_mass_bound_paper, 'paper');
      });
    }
  }

  test('scores that are float32 numbers give the same answer through the SIMD kernel', async () => {
    const cases = vectors.cases.filter(({ scores }) => scores.every((score) => Math.fround(score) === score));
    assert.ok(cases.length > 10);
    for (const { scores, expected } of cases) {
      for (const { beta, kept_indices, threshold } of expected) {
        const got = await decide(asFloat32(scores), { beta });
        assert.deepEqual([...keptIndices(got.keepMask, got.n)], kept_indices);
        assert.equal(got.threshold, threshold);
      }
    }
  });
});

describe('what must be refused', () => {
  const codes: Record<string, string> = { empty: 'empty_scores', 'all zero': 'all_zero_scores' };
  for (const { name, scores, beta = 1, index } of vectors.errors) {
    const code = codes[name] ?? (index === undefined ? 'invalid_beta' : 'non_finite_score');
    for (const dtype of ['float64', 'float32']) {
      for (const group of [undefined, 'fc1/weight']) {
        test(`${name}, ${dtype}, ${group ? 'named' : 'unnamed'}`, async () => {
          const given = dtype === 'float64' ? numbers(scores) : asFloat32(scores);
          const path = [
            '/scores',
            ...(group ? ['fc1~1weight'] : []),
            ...(index === undefined ? [] : [index]),
          ].join('/');
          await assert.rejects(
            decide(given, { beta: Number(beta), ...(group === undefined ? {} : { group }) }),
            (error: unknown) => {
              assert.ok(error instanceof EmpError);
              assert.equal(error.code, code);
              assert.equal(error.findings[0].path, code === 'invalid_beta' ? '/beta' : path);
              if (group && code !== 'invalid_beta') assert.match(error.message, /fc1\/weight/);
              return true;
            },
          );
        });
      }
    }
  }
});

describe('signs', () => {
  for (const { sign, scores, equivalent_to } of vectors.signs) {
    test(sign, async () => {
      const expected = await decide(numbers(equivalent_to));
      for (const given of [numbers(scores), asFloat32(scores)]) {
        assert.deepEqual(await decide(given, { sign: sign as Sign }), { ...expected, sign });
      }
    });
  }

  test('clamp still refuses -Infinity', async () => {
    for (const given of [numbers([1, '-Infinity']), asFloat32([1, '-Infinity'])]) {
      await assert.rejects(decide(given, { sign: 'clamp' }), { code: 'non_finite_score' });
    }
  });

  test('scores that the sign makes all zero are refused', async () => {
    await assert.rejects(decide(numbers([3, 3]), { sign: 'shift' }), {
      code: 'all_zero_scores',
      message: /shift/,
    });
    await assert.rejects(decide(numbers([-3, -1]), { sign: 'clamp' }), {
      code: 'all_zero_scores',
      message: /clamp/,
    });
  });

  test('a range beyond float64 cannot be shifted', async () => {
    await assert.rejects(decide(numbers([-1.7e308, 1.7e308]), { sign: 'shift' }), {
      code: 'invalid_request',
    });
  });
});
