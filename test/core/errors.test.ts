import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clip } from '../../src/core/clip.ts';
import { EmpError } from '../../src/core/errors.ts';

test('a text keeps its ends', () => {
  assert.equal(clip('short', 5), 'short');
  const clipped = clip(`begin${'x'.repeat(1e6)}end`, 60);
  assert.ok(clipped.length <= 60);
  assert.match(clipped, /^beginx+…\[1000008 characters\]…x+end$/);
  assert.ok(clip('😀'.repeat(1000), 101).isWellFormed());
});

test('no error is large, whatever it echoes', () => {
  for (const size of [1e3, 1e6]) {
    const echoed = 'x'.repeat(size);
    const findings = Array.from({ length: 1e4 }, () => ({ path: echoed, message: `${echoed} is wrong` }));
    const error = new EmpError('invalid_request', `${echoed} is wrong: do otherwise`, findings);
    assert.match(error.message, /^x.* is wrong: do otherwise$/);
    assert.ok(JSON.stringify([error.message, error.findings]).length < 300_000);
  }
});
