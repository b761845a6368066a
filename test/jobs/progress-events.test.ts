import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobResult, ProgressEvent } from '../../src/jobs/job.ts';
import { endedProgress, ProgressReporter, progressOf } from '../../src/jobs/progress-events.ts';
import { FolderStore } from '../../src/storage/folder-store.ts';

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emp-progress-'));
});
after(() => rm(directory, { recursive: true, force: true }));

test('every stage is told, and within one no more than five updates a second', () => {
  const told: (readonly ProgressEvent[])[] = [];
  const reporter = new ProgressReporter([], (events) => told.push(events));
  for (let i = 0; i < 1000; i++) reporter.report({ stage: 'score', percent: i / 20 });
  reporter.report({ stage: 'decide', percent: 50.04 });
  reporter.report({ stage: 'apply', percent: 60 });
  const events = [
    { id: 1, stage: 'score', percent: 0 },
    { id: 2, stage: 'decide', percent: 50 },
    { id: 3, stage: 'apply', percent: 60 },
  ];
  // All of it each time: what is lost on its way is made up for by the next.
  assert.deepEqual(told, [events.slice(0, 1), events.slice(0, 2), events]);
  assert.deepEqual(reporter.events, events);
});

test('within a stage, only what has come a percent further is told', async () => {
  const reporter = new ProgressReporter([], () => {});
  for (const percent of [10, 10.9, 11, 11.5, 12.4]) {
    reporter.report({ stage: 'score', percent });
    await sleep(210);
  }
  assert.deepEqual(
    reporter.events.map(({ percent }) => percent),
    [10, 11, 12.4],
  );
});

test('an attempt begins where the ids of the one before end, and stands for it until it has said anything', () => {
  const earlier = [{ id: 7, stage: 'apply', percent: 60 }];
  const reporter = new ProgressReporter(earlier, () => {});
  assert.deepEqual(reporter.events, earlier);
  reporter.report({ stage: 'score', percent: 0 });
  assert.deepEqual(reporter.events, [{ id: 8, stage: 'score', percent: 0 }]);
});

test('the queue knows nothing of a job that has said nothing, or is not there', () => {
  for (const queued of [undefined, { progress: 0 }]) assert.deepEqual(progressOf(queued), []);
});

test('an ended job has its progress with its result, one of an earlier version in a file, where a torn line counts and says nothing', async () => {
  const store = await FolderStore.open(directory);
  const id = 'job_0000000000';
  await store.publish('jobs', await store.createUpload(), { id, created_at: '2026-01-01T00:00:00.000Z' });
  const events = [{ id: 1, stage: 'score', percent: 3 }];
  assert.deepEqual(await endedProgress(store, id, { progress: events } as unknown as JobResult), events);
  const earlier = {} as JobResult;
  assert.deepEqual(await endedProgress(store, id, earlier), []);
  const log = join(directory, 'jobs', id, 'progress.ndjson');
  await writeFile(
    log,
    '{"stage":"score","percent":1}\n{"stage":"sc{"stage":"score","percent":0}\n{"stage":"decide","percent":2}\n{"st',
  );
  assert.deepEqual(await endedProgress(store, id, earlier), [
    { id: 1, stage: 'score', percent: 1 },
    { id: 3, stage: 'decide', percent: 2 },
  ]);
  await store.close();
});
