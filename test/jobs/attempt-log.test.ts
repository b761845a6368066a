import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { attemptDocument, logAttempts, MAX_ATTEMPTS } from '../../src/jobs/attempt-log.ts';
import type { JobRecord } from '../../src/jobs/job.ts';
import { type JobLogEntry, readJobLog } from '../../src/jobs/job-log.ts';
import { WatchedAttempt } from '../../src/jobs/watch-attempts.ts';
import { FolderStore } from '../../src/storage/folder-store.ts';
import { freshId } from '../../src/storage/ids.ts';
import { startRedis } from '../services/redis.ts';
import type { Service } from '../services/service.ts';
import { onlyStore } from './open-jobs.ts';
import { log, openSite, readTrace, request, type Site, startTestWorker, tracePath } from './site.ts';

describe('the log of a job', () => {
  let redis: Service;
  let directory: string;
  let site: Site;
  let traces = 0;
  before(async () => {
    redis = await startRedis();
    directory = await mkdtemp(join(tmpdir(), 'emp-job-log-'));
    site = await openSite({ redisUrl: redis.url, dataDirectory: join(directory, 'data') });
  });
  after(async () => {
    await site.close();
    await redis.stop();
    await rm(directory, { recursive: true });
  });

  async function submit(metadata: Record<string, string>) {
    const trace = tracePath(directory, String(traces++));
    const asked = { ...request({ trace, ...metadata }), request_id: 'asked-1' };
    const { job } = await site.jobs.submit(asked);
    return { id: job.id, trace };
  }
  const read = async (id: string): Promise<JobLogEntry[]> =>
    (await readJobLog(site.store, id)) ?? assert.fail('no job');
  const told = (entries: readonly JobLogEntry[]) =>
    entries.map(({ event, attempt, stage, code }) =>
      [event, attempt, stage, code].filter((part) => part !== null).join(' '),
    );
  async function finish(metadata: Record<string, string>) {
    const { id } = await submit(metadata);
    const job = await site.jobs.wait(id, 60_000);
    return { status: job?.status, entries: await read(id) };
  }

  test('has both attempts of a job whose child was killed, who took them up, and why the first ended', async () => {
    const { entries } = await finish({ behaviour: 'SIGKILL', steps: '2' });
    assert.deepEqual(told(entries), [
      'submitted',
      'started 1',
      'child_ended 1',
      'attempt_failed 1',
      'started 2',
      'stage 2 step 0',
      'stage 2 step 1',
      'ended succeeded',
    ]);
    const [submitted, started, killed] = entries;
    assert.equal(submitted.request_id, 'asked-1');
    assert.deepEqual(started.worker, { host: hostname(), pid: process.pid });
    assert.equal(killed.detail, 'the computing process ended by SIGKILL');
    const times = entries.map(({ time }) => time);
    assert.deepEqual(times, times.toSorted());
  });

  test('says how attempts failed, without paths', async () => {
    const { entries } = await finish({ behaviour: 'throw', trouble: '9' });
    const failed = entries.filter(({ event }) => event === 'attempt_failed');
    assert.deepEqual(
      failed.map(({ attempt }) => attempt),
      [1, 2, 3],
    );
    for (const { detail } of failed) assert.equal(detail, 'trouble in ');
    assert.equal(told(entries).at(-1), 'ended internal_error');
  });

  test('says that a child did not hear that it was to end', async () => {
    const { id, trace } = await submit({ behaviour: 'block' });
    while ((await readTrace(trace)).length === 0) await sleep(20);
    await sleep(100);
    await site.jobs.cancel(id);
    await site.jobs.wait(id, 10_000);
    const entries = await read(id);
    assert.deepEqual(told(entries), ['submitted', 'started 1', 'child_ended 1', 'ended canceled']);
    assert.match(entries[2].detail ?? '', /by SIGKILL, as it was asked to end: canceled$/);
  });

  test('says that a worker was stopped, and who went on', async () => {
    const { id, trace } = await submit({ steps: '1000', stepMs: '20' });
    while ((await readTrace(trace)).length === 0) await sleep(20);
    await site.worker.close();
    const next = await startTestWorker(site.store, site.backend);
    while ((await readTrace(trace)).length < 2) await sleep(20);
    await site.jobs.cancel(id);
    await next.close();
    const events = (await read(id)).filter(({ event }) => event !== 'stage');
    assert.deepEqual(told(events), ['submitted', 'started 1', 'returned 1', 'started 2', 'ended canceled']);
    // For the tests that follow.
    const worker = await startTestWorker(site.store, site.backend);
    const { close } = site;
    site = { ...site, worker, close: () => worker.close().then(close) };
  });

  test('that cannot be written fails no job', async () => {
    const before = await submit({ steps: '1000', stepMs: '20' });
    // It waits behind that one. A folder in the place of its first attempt is nothing that could be read or written over.
    const { id } = await submit({ steps: '2' });
    await mkdir(join(site.store.root, 'jobs', id, attemptDocument(1)));
    await site.jobs.cancel(before.id);
    const job = await site.jobs.wait(id, 60_000);
    assert.equal(job?.status, 'succeeded');
    await rm(join(site.store.root, 'jobs', id, attemptDocument(1)), { recursive: true });
    assert.deepEqual(told(await read(id)), ['submitted', 'ended succeeded']);
  });
});

describe('the log of attempts without end', () => {
  test('is bounded in attempts, entries and characters', async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'emp-job-log-'));
    t.after(() => rm(root, { recursive: true }));
    const store = await FolderStore.open(root);
    const id = freshId('job');
    const record = { id, created_at: new Date().toISOString(), ...request({}), request_sha256: '' };
    await store.publish<JobRecord>('jobs', await store.createUpload(), record);
    const { begin } = logAttempts(onlyStore(store), log);
    for (let attempt = 0; attempt < MAX_ATTEMPTS + 5; attempt++) {
      const hearer = begin({ id, name: 'prune', data: { model_id: 'mdl_0000000000' } });
      for (let stage = 0; stage < 1000; stage++) hearer.entered(`${attempt} ${'x'.repeat(10_000)}`);
      await hearer.ended({ how: 'failed', error: new Error('y'.repeat(10_000)) });
    }
    const documents = (await readdir(join(root, 'jobs', id))).filter((name) => name.startsWith('attempt-'));
    assert.equal(documents.length, MAX_ATTEMPTS);
    const entries = (await readJobLog(store, id)) ?? [];
    assert.ok(entries.length < 50 * MAX_ATTEMPTS, `${entries.length} entries`);
    assert.ok(JSON.stringify(entries).length < 500 * entries.length);
    // How an attempt ended is not what is left out, and of the last place the last attempt is told.
    const last = entries.filter(({ attempt }) => attempt === MAX_ATTEMPTS);
    assert.equal(last.at(-1)?.event, 'attempt_failed');
    assert.match(
      last.find(({ event }) => event === 'stage')?.stage ?? '',
      new RegExp(`^${MAX_ATTEMPTS + 4} `),
    );
    await store.close();
  });

  test('takes no stage from a child that says anything', () => {
    const stages: string[] = [];
    const watcher = { begin: () => ({ entered: (stage: string) => void stages.push(stage), ended() {} }) };
    const attempt = new WatchedAttempt([watcher], { id: 'job_0', name: 'prune', data: { model_id: '' } });
    for (const told of [
      null,
      undefined,
      'score',
      7,
      {},
      [],
      [null],
      [{}],
      [{ stage: 7 }],
      [{ stage: 'score' }],
    ])
      attempt.progressed(told as never);
    assert.deepEqual(stages, ['score']);
  });

  test('of no job is none', async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'emp-job-log-'));
    t.after(() => rm(root, { recursive: true }));
    const store = await FolderStore.open(root);
    assert.equal(await readJobLog(store, freshId('job')), null);
    await store.close();
  });
});
