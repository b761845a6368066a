import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertSame, fed, nodesOf } from './pass-check.ts';
import { separated, sharing } from './shared-constants.ts';

describe('separateConstants', () => {
  test('gives every reader a copy but of weights, of made constants too', async () => {
    const { proto, copies } = separated();
    assert.deepEqual(nodesOf(proto), [
      'a = Add(x, scale)',
      'b = Mul(a, copy_0_scale)',
      'c = MatMul(b, w)',
      'd = MatMul(c, w)',
      'zeros = ConstantOfShape(size)',
      'copy_2_zeros = ConstantOfShape(size)',
      'e = Add(d, zeros)',
      'y = Add(e, copy_2_zeros)',
    ]);
    assert.equal(copies.get('copy_0_scale'), 'scale');
    assert.equal(copies.get('copy_2_zeros'), 'zeros');
    await assertSame(sharing(), proto, fed('x', [2, 3]));
  });
});
