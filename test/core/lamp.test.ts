import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { lampScores } from '../../src/core/lamp.ts';

/** The formula, one sum for every score, smallest first. */
function lampByFormula(scores: readonly number[]): number[] {
  const most = Math.max(...scores.map(Math.abs));
  const squares = scores.map((score) => (most === 0 ? 0 : (score / most) ** 2));
  const sumFrom = (square: number) => squares.reduce((sum, other) => sum + (other >= square ? other : 0), 0);
  return squares.map((square) => (square === 0 ? 0 : square / sumFrom(square))).sort((a, b) => a - b);
}

function assertAsFormula(scores: readonly number[]): void {
  const [found, wanted] = [lampScores(Float64Array.from(scores)), lampByFormula(scores)];
  assert.equal(found.length, wanted.length);
  for (const [i, score] of found.entries()) {
    assert.ok(Math.abs(score - wanted[i]) <= 1e-12 * wanted[i], `${score} at ${i}, not ${wanted[i]}`);
    assert.ok(i === 0 || found[i - 1] <= score, 'ascending');
  }
}

describe('LAMP scores', () => {
  test('are those of the formula', () => {
    const scores = fc.oneof(fc.double({ min: -9, max: 9, noNaN: true }), fc.integer({ min: -3, max: 3 }));
    fc.assert(
      fc.property(fc.array(scores, { minLength: 1, maxLength: 80 }), (given) =>
        assertAsFormula(given.map(Math.fround)),
      ),
    );
  });

  test('tie where scores do', () => {
    const found = lampScores(Float64Array.of(2, -1, 0, 1, 2, 1));
    assert.deepEqual([...found], [0, 1 / 11, 1 / 11, 1 / 11, 4 / 8, 4 / 8]);
  });

  test('do not depend on the scale, near the ends of float64 neither', () => {
    const scores = [0.5, 3, -1, 2, 2, 0];
    const wanted = [...lampScores(Float64Array.from(scores))];
    for (const exponent of [-1020, -300, 300, 1020])
      assert.deepEqual([...lampScores(Float64Array.from(scores, (score) => score * 2 ** exponent))], wanted);
    assert.deepEqual([...lampScores(new Float64Array(3))], [0, 0, 0]);
  });
});
