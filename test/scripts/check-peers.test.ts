import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Result } from '../../scripts/check-peers/contest.ts';
import { type Contest, formatContests } from '../../scripts/check-peers/document.ts';
import { TASKS } from '../../scripts/check-peers/tasks.ts';
import type { StoredModel } from '../../src/formats/stored-model.ts';

const OURS: Result = {
  tool: 'EMP',
  versions: null,
  model: { inventory: { nParameters: 1234 } } as StoredModel,
  processSeconds: 4,
  seconds: 2,
  repairSeconds: null,
  peakBytes: 100 * 2 ** 20,
  fileBytes: 3e6,
  quality: { accuracy: 0.9, loss: 0.3, ms: 5 },
};

function listOf(other: Partial<Result>): string[] {
  const results: Result[] = [OURS, { ...OURS, tool: 'onnxsim', versions: 'onnxsim 0.8.1', ...other }];
  const contests: Contest[] = [
    { task: TASKS[0], results, same: new Map([['onnxsim', { count: 2, areTies: false }]]) },
  ];
  const text = formatContests(contests, new Map([['Torch-Pruning', 'no such package']]), 3);
  assert.ok(text.includes(`| ${TASKS[0].title} | onnxsim | 1,234 |`));
  assert.ok(text.includes('onnxsim gives **other** weights'));
  assert.ok(text.includes('Torch-Pruning could not be installed, and has no rows: no such package'));
  return text.split('What peers are better in:')[1].split('\n- ').slice(1, -1);
}

test('check:peers says what peers are better in, however little more accurate they are', () => {
  const draw = { seconds: 1.95, peakBytes: 96 * 2 ** 20 };
  assert.deepEqual(listOf(draw), ['nothing that was measured.']);
  const [better] = listOf({ ...draw, processSeconds: 1, quality: { accuracy: 0.9005, loss: 0.3, ms: 5 } });
  assert.match(
    better,
    /accuracy \(90\.05 %, ours 90\.00 %\), time of the process \(1\.00 s, ours 4\.00 s\)\.$/,
  );
  const [fast] = listOf({ quality: { accuracy: 0.1, loss: 3, ms: 4 } });
  assert.match(fast, /onnxsim: latency \(4\.00 ms, ours 5\.00 ms\)\.$/);
});
