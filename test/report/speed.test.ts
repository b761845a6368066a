import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { compareRounds, describeRatio, differsInSpeed, isFaster } from '../../src/report/speed.ts';

/** Milliseconds of rounds that vary by a share, in a fixed order. */
const around = (ms: number, share: number, shift: number) =>
  Array.from({ length: 101 }, (_, round) => ms * (1 + share * Math.sin(round * 7.3 + shift)));

const compare = (dense: number, pruned: number, noise: number, again = dense) =>
  compareRounds('all', {
    dense: around(dense, noise, 0),
    pruned: around(pruned, noise, 1),
    again: around(again, noise, 2),
  });

describe('a speedup', () => {
  test('is told where it is beyond the noise', () => {
    const speed = compare(10, 5, 0.02);
    assert.ok(isFaster(speed) && differsInSpeed(speed));
    assert.match(describeRatio(speed), /^(1\.9\d|2\.0\d) x as fast$/);
    const slower = compare(10, 12, 0.01);
    assert.ok(!isFaster(slower) && differsInSpeed(slower));
  });

  test('that two sessions of the dense model differ by as well is none', () => {
    assert.ok(differsInSpeed(compare(10, 9.5, 0.001)));
    const speed = compare(10, 9.5, 0.001, 9.4);
    assert.ok(!differsInSpeed(speed), 'the dense model opened anew is as fast');
    assert.match(describeRatio(speed), /^no difference: dense against dense varies by [67]\.\d %$/);
  });

  test('that the dense model varies by from round to round is none', () => {
    assert.ok(!differsInSpeed(compare(10, 9.5, 0.3)));
  });

  test('of a model against itself is none, whatever the noise', () => {
    const ms = fc.double({ min: 0.01, max: 1e4, noNaN: true });
    fc.assert(
      fc.property(fc.array(ms, { minLength: 6, maxLength: 40 }), (dense) => {
        assert.ok(!differsInSpeed(compareRounds('all', { dense, pruned: dense, again: dense })));
      }),
    );
  });
});
