import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openLaneQueues } from '../../src/jobs/lane-queues.ts';
import { settleFailedJobs } from '../../src/jobs/recovery.ts';
import { freeBytes } from '../../src/storage/free-space.ts';
import { startRedis } from '../services/redis.ts';
import type { Service } from '../services/service.ts';
import { cannotMount, mountDisk, type SmallDisk } from '../services/small-disk.ts';
import { onlyStore } from './open-jobs.ts';
import { LIMITS, log, openSite, RETRY, readTrace, request, type Site } from './site.ts';

/** Of all attempts that a job is given, with their pauses, and more. */
const ATTEMPTS_MS = 2500;
const LONG_MS = 60_000;
/** Of an attempt, whatever the disk is like. */
const FAILS = { behaviour: 'throw', trouble: '9' };

describe('a disk without a byte left', { skip: cannotMount }, () => {
  let redis: Service;
  let traces: string;
  let disk: SmallDisk;
  let site: Site;
  const filler = () => join(disk.path, 'filler');
  const settings = () => ({ redisUrl: redis.url, dataDirectory: join(disk.path, 'data') });
  /** Waiting for room counts as time of a job. */
  const open = () => openSite(settings(), true, { ...LIMITS, timeMs: LONG_MS });
  const trace = (name: string) => join(traces, name);
  const submit = async (name: string, metadata: Record<string, string>) =>
    (await site.jobs.submit(request({ trace: trace(name), ...metadata }))).job.id;
  // By looking only: what a probe takes while the disk is filled is free again when it is gone.
  const isFull = async () => (await freeBytes(disk.path)) === 0;
  const until = async (condition: () => Promise<boolean>) => {
    for (const end = Date.now() + LONG_MS; !(await condition()); await sleep(20)) assert.ok(Date.now() < end);
  };
  /** Waits until the queue has given a job up, which has no result then: there is no room for it. */
  const untilGivenUp = async (id: string) => {
    const queues = await openLaneQueues(site.backend, log, RETRY);
    try {
      await until(async () => (await queues.lines.failedJobs()).some((job) => job.id === id));
    } finally {
      await queues.close();
    }
  };
  before(async () => {
    redis = await startRedis();
    traces = await mkdtemp(join(tmpdir(), 'emp-full-'));
    disk = mountDisk(48);
    site = await open();
  });
  after(async () => {
    await site.close();
    disk.unmount();
    await redis.stop();
    await rm(traces, { recursive: true });
  });

  test('a result waits for room, with what was computed', async () => {
    const id = await submit('result', { fillLast: filler(), seed: 'kept' });
    await until(isFull);
    await sleep(ATTEMPTS_MS);
    assert.equal((await site.jobs.get(id))?.status, 'running');
    await disk.free();
    const job = await site.jobs.wait(id, LONG_MS);
    assert.equal(job?.status, 'succeeded');
    assert.equal((await readTrace(trace('result'))).length, 1);
    const content = await buffer(site.store.readFile('jobs', id, 'model.bin'));
    assert.equal(content.byteLength, job.artifacts[0]?.size_bytes);
  });

  test('a job that waits so is canceled when there is room', async () => {
    const id = await submit('canceled', { fillLast: filler() });
    await until(isFull);
    // The wish is a document too.
    await assert.rejects(site.jobs.cancel(id), { code: 'ENOSPC' });
    await disk.free();
    await site.jobs.cancel(id);
    assert.match((await site.jobs.wait(id, LONG_MS))?.status ?? '', /canceled|succeeded/);
  });

  test('an attempt that finds no room waits for it, and the next is made with it', async () => {
    const id = await submit('attempt', { fillOnce: filler() });
    await until(isFull);
    await sleep(ATTEMPTS_MS);
    assert.equal((await readTrace(trace('attempt'))).length, 1);
    await disk.free();
    assert.equal((await site.jobs.wait(id, LONG_MS))?.status, 'succeeded');
    assert.equal((await readTrace(trace('attempt'))).length, 2);
  });

  test('one that waits so is canceled', async () => {
    const id = await submit('impatient', { fillOnce: filler() });
    await until(isFull);
    // Whoever fills the disk would fill what is given back, and an attempt that has not met the full disk would end well.
    await sleep(ATTEMPTS_MS);
    await until(async () => {
      // Room for the wish, and too little to begin a job.
      await truncate(filler(), 40 * 2 ** 20);
      const job = await site.jobs.cancel(id).catch(() => null);
      return job?.status === 'canceled';
    });
    await disk.free();
    assert.equal((await readTrace(trace('impatient'))).length, 1);
  });

  test('a job that takes more room than there is fails', async () => {
    const id = await submit('large', { fillOwn: 'yes' });
    const job = await site.jobs.wait(id, LONG_MS);
    assert.deepEqual([job?.status, job?.error?.code], ['failed', 'insufficient_storage']);
    assert.equal((await readTrace(trace('large'))).length, RETRY.attempts);
  });

  test('a failure waits for room, and is told', async () => {
    const id = await submit('failure', { fillFirst: filler(), ...FAILS });
    await untilGivenUp(id);
    assert.equal((await site.jobs.get(id))?.status, 'running');
    await disk.free();
    const job = await site.jobs.wait(id, LONG_MS);
    assert.deepEqual([job?.status, job?.error?.code], ['failed', 'internal_error']);
    assert.equal((await readTrace(trace('failure'))).length, RETRY.attempts);
    assert.deepEqual(await site.store.listUnfinished(), []);
  });

  test('a failure that its worker could not write before it ended is written by another process', async () => {
    const id = await submit('left', { fillFirst: filler(), ...FAILS });
    await untilGivenUp(id);
    await site.close();
    await disk.free();
    site = await open();
    const queues = await openLaneQueues(site.backend, log, RETRY);
    try {
      await settleFailedJobs(onlyStore(site.store), queues.lines, 0);
    } finally {
      await queues.close();
    }
    const job = await site.jobs.get(id);
    assert.deepEqual([job?.status, job?.error?.code], ['failed', 'internal_error']);
    assert.equal((await readTrace(trace('left'))).length, RETRY.attempts);
  });

  test('no job is taken, nothing of it stays, and those that are there are told', async () => {
    const files = async () => (await readdir(site.store.root, { recursive: true })).sort();
    const before = await files();
    await disk.fill();
    await assert.rejects(site.store.ping());
    for (const key of [undefined, 'key']) {
      await assert.rejects(site.jobs.submit(request({}), key), { code: 'ENOSPC' });
      assert.deepEqual(await files(), before);
    }
    assert.ok((await site.jobs.list(10)).data.length > 0);
    await disk.free();
    await site.store.ping();
  });
});

test('a disk with little room left takes no further job', { skip: cannotMount }, async () => {
  const disk = mountDisk(8);
  const redis = await startRedis();
  const site = await openSite({ redisUrl: redis.url, dataDirectory: join(disk.path, 'data') }, false);
  try {
    await assert.rejects(site.jobs.submit(request({})), { code: 'insufficient_storage' });
    await assert.rejects(site.store.ping(), { code: 'insufficient_storage' });
    assert.deepEqual(await site.store.listUnfinished(), []);
  } finally {
    await site.close();
    disk.unmount();
    await redis.stop();
  }
});
