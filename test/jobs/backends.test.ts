import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { connectBackend } from '../../src/jobs/backends/connect.ts';
import { lockDirectory } from '../../src/jobs/backends/directory-lock.ts';
import { askToCancel } from '../../src/jobs/cancel-request.ts';
import { FolderStore } from '../../src/storage/folder-store.ts';
import { startRedis } from '../services/redis.ts';
import { openJobs } from './open-jobs.ts';
import { log, openSite, readTrace, request } from './site.ts';

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emp-backends-'));
});
after(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));

test('a server that is not there is named, its password is not', async () => {
  await assert.rejects(
    connectBackend({ redisUrl: 'redis://user:secret@127.0.0.1:1/0', dataDirectory: directory }),
    ({ message }: Error) =>
      /127\.0\.0\.1:1\/0 \(REDIS_URL\): .*ECONNREFUSED/.test(message) && !message.includes('secret'),
  );
  await assert.rejects(
    connectBackend({ databaseUrl: 'postgres://user:secret@127.0.0.1:1/emp', dataDirectory: directory }),
    ({ message }: Error) =>
      /127\.0\.0\.1:1\/emp \(DATABASE_URL\): .*ECONNREFUSED/.test(message) && !message.includes('secret'),
  );
});

test('a Redis that evicts keys is warned about', async () => {
  const redis = await startRedis('--maxmemory-policy', 'allkeys-lru');
  try {
    const lines: string[] = [];
    const log = pino({}, { write: (line) => lines.push(line) });
    const backend = await connectBackend({ redisUrl: redis.url, dataDirectory: directory, log });
    await backend.close();
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? '', /allkeys-lru.*noeviction/);
  } finally {
    await redis.stop();
  }
});

test('without its queue the service refuses a job, leaves nothing behind, and can be closed', async () => {
  const redis = await startRedis();
  const store = await FolderStore.open(join(directory, 'outage'));
  const backend = await connectBackend({ redisUrl: redis.url, dataDirectory: store.root });
  const jobs = await openJobs({ store, backend, log });
  await redis.stop();
  await assert.rejects(jobs.submit(request({})), { code: 'not_ready' });
  await assert.rejects(jobs.ping());
  assert.deepEqual(await readdir(join(store.root, 'jobs')), []);
  await jobs.close();
  await backend.close();
  await store.close();
});

test('a Redis that comes back without its memory is told the unfinished jobs again', async () => {
  const redis = await startRedis();
  const store = await FolderStore.open(join(directory, 'forgotten'));
  const backend = await connectBackend({ redisUrl: redis.url, dataDirectory: store.root });
  const jobs = await openJobs({ store, backend, log });
  const operator = new Redis(redis.url);
  try {
    const { job } = await jobs.submit(request({}));
    await operator.flushall();
    assert.equal((await jobs.counts()).long.queued, 0);
    await operator.call('CLIENT', 'KILL', 'TYPE', 'normal');
    const queued = async () => (await jobs.counts().catch(() => null))?.long.queued ?? 0;
    const deadline = Date.now() + 5000;
    while ((await queued()) !== 1 && Date.now() < deadline) await sleep(20);
    assert.equal(await queued(), 1);
    assert.equal((await jobs.get(job.id))?.status, 'queued');
  } finally {
    operator.disconnect();
    await jobs.close();
    await backend.close();
    await store.close();
    await redis.stop();
  }
});

test('a Redis that forgets a running job, and its progress, does not end it', async () => {
  const redis = await startRedis();
  const settings = { redisUrl: redis.url, dataDirectory: join(directory, 'forgetful') };
  const site = await openSite(settings);
  const operator = new Redis(redis.url);
  try {
    const trace = join(directory, 'forgetful.trace');
    const { job } = await site.jobs.submit(request({ trace, steps: '20', stepMs: '50' }));
    const stages: string[] = [];
    let isForgotten = false;
    for await (const { events } of site.jobs.follow(job.id, 0, AbortSignal.timeout(20_000))) {
      for (const { event, data } of events) stages.push(event === 'progress' ? data.stage : event);
      if (isForgotten || stages.length < 3) continue;
      await operator.flushall();
      isForgotten = true;
    }
    assert.deepEqual([stages[0], stages.at(-1)], ['step 0', 'succeeded']);
    assert.deepEqual(
      stages.slice(0, -1),
      Array.from({ length: 20 }, (_, i) => `step ${i}`),
    );
    assert.equal((await readTrace(trace)).length, 1);
  } finally {
    operator.disconnect();
    await site.close();
    await redis.stop();
  }
});

test('a job that Redis has forgotten ends when it is canceled, also when the news of that is lost', async () => {
  const redis = await startRedis();
  const settings = { redisUrl: redis.url, dataDirectory: join(directory, 'canceled') };
  const site = await openSite(settings);
  const operator = new Redis(redis.url);
  try {
    for (const [name, cancel] of [
      ['told', (id: string) => site.jobs.cancel(id)],
      ['looked for', (id: string) => askToCancel(site.store, id)],
    ] as const) {
      const trace = join(directory, `${name}.trace`);
      const { job } = await site.jobs.submit(request({ trace, steps: '400', stepMs: '50' }));
      while ((await readTrace(trace)).length === 0) await sleep(20);
      await operator.flushall();
      await cancel(job.id);
      const { job: next } = await site.jobs.submit(request({ trace: join(directory, `${name}.next`) }));
      assert.equal((await site.jobs.wait(next.id, 10_000))?.status, 'succeeded', name);
      assert.equal((await site.jobs.get(job.id))?.status, 'canceled', name);
    }
  } finally {
    operator.disconnect();
    await site.close();
    await redis.stop();
  }
});

test('a Redis that hangs does not make requests hang', { timeout: 30_000 }, async () => {
  const redis = await startRedis();
  const store = await FolderStore.open(join(directory, 'hung'));
  const backend = await connectBackend({ redisUrl: redis.url, dataDirectory: store.root });
  const jobs = await openJobs({ store, backend, log });
  const operator = new Redis(redis.url);
  try {
    await operator.call('CLIENT', 'PAUSE', '60000', 'ALL');
    await assert.rejects(jobs.submit(request({})), { code: 'not_ready' });
    assert.deepEqual(await readdir(join(store.root, 'jobs')), []);
  } finally {
    operator.disconnect();
    await jobs.close();
    await backend.close();
    await store.close();
    await redis.stop();
  }
});

test('the embedded directory is one process’s: the second is told whose, a kill frees it', async () => {
  const locked = join(directory, 'locked');
  const module = fileURLToPath(new URL('../../src/jobs/backends/directory-lock.ts', import.meta.url));
  const script = `import { lockDirectory } from ${JSON.stringify(module)};
    await lockDirectory(${JSON.stringify(locked)}, ''); console.log('locked'); setInterval(() => {}, 1000);`;
  const args = ['--input-type=module', '--eval', script];
  const holder = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(holder.stdout, 'data');
  await assert.rejects(
    lockDirectory(locked, 'Set REDIS_URL.'),
    new RegExp(`in use by process ${holder.pid} on .*Set REDIS_URL`),
  );
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  const lock = await lockDirectory(locked, '');
  await assert.rejects(lockDirectory(locked, ''), new RegExp(`in use by process ${process.pid} `));
  lock.release();
  (await lockDirectory(locked, '')).release();
});

test('idle children that are killed just before a job comes do not take their worker along', async () => {
  const redis = await startRedis();
  try {
    const script = fileURLToPath(new URL('./idle-child-process.ts', import.meta.url));
    const settings = { redisUrl: redis.url, dataDirectory: join(directory, 'idle') };
    const args = [script, JSON.stringify(settings), join(directory, 'idle.trace')];
    const service = spawn(process.execPath, args, { stdio: 'inherit' });
    const [code] = await once(service, 'exit');
    assert.equal(code, 0);
  } finally {
    await redis.stop();
  }
});
