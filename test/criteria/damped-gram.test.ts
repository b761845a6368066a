import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dampedGram } from '../../src/criteria/damped-gram.ts';
import { MatrixInverter } from '../../src/repair/matrix-inverter.ts';
import { gaussians, multiply } from '../models/small-model.ts';
import { gramOf, range } from './greedy-oracle.ts';
import { RUNTIME } from './run-criterion.ts';

describe('Gram matrices to be inverted', () => {
  test('are damped by a hundredth of the mean of the diagonal, and none where nothing varies', () => {
    const gram = { products: Float64Array.of(5, 2, 2, 4), means: Float64Array.of(1, 2) };
    assert.deepEqual(dampedGram(gram, 0, 2, false), Float64Array.of(5.045, 2, 2, 4.045));
    assert.deepEqual(dampedGram(gram, 0, 2, true), Float64Array.of(4.02, 0, 0, 0.02));
    const constant = { products: Float64Array.of(1, 2, 2, 4), means: Float64Array.of(1, 2) };
    assert.equal(dampedGram(constant, 0, 2, true), null);
  });

  test('are inverted in float64', async () => {
    const rows = range(30).map((row) => Array.from(gaussians(8, row + 1)));
    const matrix = gramOf(rows, 1e-6);
    await using inverter = await MatrixInverter.open(RUNTIME);
    const inverse = await inverter.invert(Float64Array.from(matrix.flat()), 8);
    const product = multiply(matrix.flat(), inverse, [8, 8, 8]);
    for (const [at, value] of product.entries())
      assert.ok(Math.abs(value - Number(at % 9 === 0)) < 1e-10, `${value}`);
  });
});
