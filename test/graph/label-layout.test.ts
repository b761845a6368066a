import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findLabelAxis } from '../../src/graph/label-layout.ts';

test('labels that no axis counts the samples of: how many were expected where', () => {
  assert.throws(() => findLabelAxis({ shape: [3, 4] }, 5, 1), {
    code: 'samples_mismatch',
    message:
      'there are 5 samples and labels [3,4]: expected 5 along the first axis, or along that of the output',
  });
  assert.equal(findLabelAxis({ shape: [3, 5] }, 5, 1), 1);
});
