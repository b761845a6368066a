import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Progress,
  type ProgressUpdate,
  STAGES,
  type Stage,
  StageClock,
} from '../../src/pipeline/progress.ts';
import { writeMlp } from '../models/small-mlp.ts';
import { pruneFiles } from './prune-files.ts';

/** The stages as a reader of the stream meets them, a name again wherever it changes. */
function namesOf(stages: readonly Stage[]): Stage[] {
  return stages.filter((stage, i) => stage !== stages[i - 1]);
}

describe('the progress of a job', () => {
  test('names a stage once, however often it is entered, while the clock counts each time', async () => {
    const updates: ProgressUpdate[] = [];
    const progress = new Progress(100, (update) => updates.push(update));
    const clock = new StageClock(progress);
    const entered: Stage[] = [
      'score',
      'decide',
      'apply',
      'repair',
      'evaluate',
      'repair',
      'evaluate',
      'report',
    ];
    for (const stage of entered) {
      clock.enter(stage);
      progress.advance(10);
      await sleep(stage === 'repair' ? 30 : 0);
    }
    assert.deepEqual(namesOf(updates.map(({ stage }) => stage)), [
      ...['inventory', 'score', 'decide', 'apply', 'repair', 'evaluate', 'report'],
    ]);
    const timings = clock.stop();
    assert.ok(timings.repair >= 55, `${timings.repair} ms in repair`);
  });

  test('counts what is measured before anything is applied as part of the decision', () => {
    const updates: ProgressUpdate[] = [];
    const progress = new Progress(100, (update) => updates.push(update));
    for (const stage of ['score', 'evaluate', 'decide', 'apply', 'evaluate', 'report'] as const)
      progress.enter(stage);
    assert.deepEqual(
      updates.map(({ stage }) => stage),
      ['inventory', 'score', 'decide', 'apply', 'evaluate', 'report'],
    );
  });

  for (const granularity of ['weight', 'channel']) {
    test(`keeps the declared order through search, repair and sweep, and its percentage never falls: ${granularity}`, async () => {
      await using mlp = await writeMlp([20, 48, 32, 5], 300);
      const updates: ProgressUpdate[] = [];
      const recipe = {
        granularity,
        ...(granularity === 'channel' && { criterion: 'l2_norm', scope: 'layer' }),
        repair: ['bias', 'least_squares'],
        target: { max_loss_increase: 0.05 },
        sweep_betas: [0.5, 0.8],
      };
      const onProgress = (percent: number, stage: Stage) => void updates.push({ percent, stage });
      const samples = { calibration: mlp.samples, evaluation: mlp.samples };
      await using _ = await pruneFiles(mlp.path, recipe, { ...samples, onProgress });
      assert.deepEqual(
        namesOf(updates.map(({ stage }) => stage)),
        STAGES.filter((stage) => stage !== 'curvature'),
      );
      for (const [i, { percent }] of updates.entries()) assert.ok(percent >= (updates[i - 1]?.percent ?? 0));
    });
  }
});
