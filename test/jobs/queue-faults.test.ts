import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { pino } from 'pino';
import { connectBackend } from '../../src/jobs/backends/connect.ts';
import { LANES } from '../../src/jobs/job-lanes.ts';
import { FolderStore } from '../../src/storage/folder-store.ts';
import { startPostgres } from '../services/postgres.ts';
import { type RedisService, startRedis, startRedisAt } from '../services/redis.ts';
import { type OpenJobs, openJobs } from './open-jobs.ts';
import { log, openSite, RETRY, readTrace, request, startTestWorker } from './site.ts';

const WAITING = 8;
const LONG_MS = 20_000;

async function until(condition: () => Promise<boolean>, withinMs = LONG_MS): Promise<void> {
  for (const end = Date.now() + withinMs; !(await condition()); await sleep(20))
    assert.ok(Date.now() < end, 'waited too long');
}

const queuedCount = (jobs: OpenJobs) =>
  jobs.counts().then(
    ({ short, long }) => short.queued + long.queued,
    () => -1,
  );

/** To both lanes in turn. */
async function submitMany(jobs: OpenJobs, traces: string, name: string) {
  const ids: string[] = [];
  for (let i = 0; i < WAITING; i++) {
    const asked = request({ trace: join(traces, `${name}-${i}`) });
    ids.push((await jobs.submit({ ...asked, lane: LANES[i % LANES.length] })).job.id);
  }
  return ids;
}

let traces: string;
before(async () => {
  traces = await mkdtemp(join(tmpdir(), 'emp-faults-'));
});
after(() => rm(traces, { recursive: true, force: true, maxRetries: 5 }));

/** Each is computed, once. */
async function assertDone(jobs: OpenJobs, ids: readonly string[], name: string): Promise<void> {
  for (const id of ids) assert.equal((await jobs.wait(id, LONG_MS))?.status, 'succeeded');
  for (const i of ids.keys()) assert.equal((await readTrace(join(traces, `${name}-${i}`))).length, 1);
}

describe('of a Redis', () => {
  let redis: RedisService;
  let operator: Redis;
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'emp-redis-faults-'));
    redis = await startRedis();
    operator = new Redis(redis.url);
    operator.on('error', () => {});
  });
  after(async () => {
    operator.disconnect();
    await redis.stop();
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  });
  /** Jobs without a worker: they wait. */
  async function open(name: string, options: { maxQueued?: number } = {}) {
    const store = await FolderStore.open(join(directory, name));
    const backend = await connectBackend({ redisUrl: redis.url, dataDirectory: store.root });
    const jobs = await openJobs({ store, backend, log, retry: RETRY, ...options });
    return {
      store,
      jobs,
      async [Symbol.asyncDispose]() {
        await jobs.close();
        await backend.close();
        await store.close();
        await operator.flushall().catch(() => {});
      },
    };
  }

  test('that is emptied, waiting jobs are queued again though nobody asks, once by many processes', async () => {
    await using first = await open('emptied');
    await using second = await open('emptied');
    for (const { jobs } of [first, second]) jobs.keepRecovering(200);
    await submitMany(first.jobs, traces, 'emptied');
    await operator.flushall();
    await until(async () => (await queuedCount(first.jobs)) === WAITING);
    await sleep(500);
    assert.equal(await queuedCount(first.jobs), WAITING);
  });

  for (const [how, ask] of [
    ['is asked for', (jobs: OpenJobs, id: string) => jobs.get(id)],
    ['is listed', (jobs: OpenJobs) => jobs.list(1)],
    ['is waited for', (jobs: OpenJobs, id: string) => jobs.wait(id, 1)],
    ['is followed', (jobs: OpenJobs, id: string) => jobs.follow(id, 0, AbortSignal.timeout(1000)).next()],
  ] as const) {
    test(`that is emptied, a job that ${how} is queued at once`, async () => {
      await using site = await open(`asked-${how.replaceAll(' ', '-')}`);
      const { job } = await site.jobs.submit(request({}));
      await operator.flushall();
      await ask(site.jobs, job.id);
      assert.equal(await queuedCount(site.jobs), 1);
      assert.equal((await site.jobs.get(job.id))?.status, 'queued');
    });
  }

  test('that is emptied, jobs that were deleted, canceled or done are not queued again', async () => {
    const site = await openSite({ redisUrl: redis.url, dataDirectory: join(directory, 'ended') });
    try {
      const trace = join(traces, 'ended');
      const { job: done } = await site.jobs.submit(request({ trace }));
      assert.equal((await site.jobs.wait(done.id, LONG_MS))?.status, 'succeeded');
      await site.worker.close();
      const { job: canceled } = await site.jobs.submit(request({ trace }));
      await site.jobs.cancel(canceled.id);
      await operator.flushall();
      await site.jobs.list(10);
      await site.jobs.recover();
      assert.equal(await queuedCount(site.jobs), 0);
      for (const { id } of [done, canceled]) assert.equal(await site.jobs.delete(id), true);
      assert.deepEqual(await site.store.listUnfinished(), []);
    } finally {
      await site.close();
    }
  });

  test('that is replaced by an empty one, every job is computed, once', async () => {
    const site = await openSite({ redisUrl: redis.url, dataDirectory: join(directory, 'replaced') });
    try {
      const { job: running } = await site.jobs.submit(
        request({ trace: join(traces, 'running'), steps: '40', stepMs: '50' }),
      );
      const ids = await submitMany(site.jobs, traces, 'replaced');
      await until(async () => (await readTrace(join(traces, 'running'))).length === 1);
      await redis.stop();
      redis = await startRedisAt(redis.port);
      await assertDone(site.jobs, ids, 'replaced');
      assert.equal((await site.jobs.wait(running.id, LONG_MS))?.status, 'succeeded');
      assert.equal((await readTrace(join(traces, 'running'))).length, 1);
    } finally {
      await site.close();
    }
  });

  for (const [state, begin, end] of [
    [
      'out of memory',
      () => operator.config('SET', 'maxmemory', '1'),
      () => operator.config('SET', 'maxmemory', '0'),
    ],
    ['a replica', () => operator.replicaof('127.0.0.1', 1), () => operator.call('REPLICAOF', 'NO', 'ONE')],
  ] as const) {
    test(`that is ${state}, nothing is ready, no job is taken, and those that are there are told`, async () => {
      await using site = await open(state.replaceAll(' ', '-'));
      const { job } = await site.jobs.submit(request({}));
      const files = async () => (await readdir(site.store.root, { recursive: true })).sort();
      const before = await files();
      await begin();
      await assert.rejects(site.jobs.ping());
      for (const key of [undefined, 'key']) {
        await assert.rejects(site.jobs.submit(request({}), key), { code: 'not_ready' });
        assert.deepEqual(await files(), before);
      }
      assert.equal((await site.jobs.get(job.id))?.status, 'queued');
      assert.equal((await site.jobs.list(10)).data.length, 1);
      await end();
      await site.jobs.ping();
      assert.equal((await site.jobs.submit(request({}), 'key')).created, true);
      assert.equal(await queuedCount(site.jobs), 2);
    });
  }

  test('that is out of memory, a worker asks now and then, and goes on when there is some', async () => {
    let errors = 0;
    const counting = pino({ level: 'warn' }, { write: () => errors++ });
    const settings = { redisUrl: redis.url, dataDirectory: join(directory, 'worker-refused') };
    const site = await openSite(settings, false);
    try {
      const ids = await submitMany(site.jobs, traces, 'refused');
      await operator.config('SET', 'maxmemory', '1');
      const worker = await startTestWorker(site.store, site.backend, counting);
      try {
        await sleep(2500);
        assert.ok(errors > 0 && errors < 20, `${errors} errors`);
        await operator.config('SET', 'maxmemory', '0');
        await assertDone(site.jobs, ids, 'refused');
      } finally {
        await worker.close();
      }
    } finally {
      await site.close();
    }
  });

  test('that hangs, a page takes one wait however many jobs are on it', async () => {
    await using site = await open('frozen');
    const ids = await submitMany(site.jobs, traces, 'frozen');
    redis.freeze();
    try {
      const start = performance.now();
      const { data } = await site.jobs.list(100);
      assert.ok(performance.now() - start < 6000, `${performance.now() - start} ms`);
      assert.deepEqual(
        data.map(({ id, status }) => [id, status]),
        ids.reverse().map((id) => [id, 'queued']),
      );
      await assert.rejects(site.jobs.cancel(ids[0] ?? ''), { code: 'not_ready' });
    } finally {
      redis.thaw();
    }
    assert.equal((await site.jobs.cancel(ids[0] ?? ''))?.status, 'canceled');
  });

  test('that may hold a single job says so', async () => {
    await using site = await open('single', { maxQueued: 1 });
    await site.jobs.submit(request({}));
    await assert.rejects(site.jobs.submit(request({})), /^EmpError: 1 job is waiting, and no more may/);
  });

  test('that holds as many jobs as may wait, no other is taken; one that was taken is told again', async () => {
    await using site = await open('full', { maxQueued: 2 });
    await site.jobs.submit(request({}), 'first');
    await site.jobs.submit({ ...request({}), lane: 'short' }, 'second');
    const files = async () => (await readdir(site.store.root, { recursive: true })).sort();
    const before = await files();
    for (const key of [undefined, 'third']) {
      const publish = async () => assert.fail('published');
      await assert.rejects(site.jobs.submit(request({}), key, publish), {
        code: 'queue_full',
        message: '2 jobs are waiting, and no more may: try again later',
      });
      assert.deepEqual(await files(), before);
    }
    const { job, created } = await site.jobs.submit(request({}), 'second');
    assert.equal(created, false);
    await site.jobs.cancel(job.id);
    assert.equal((await site.jobs.submit(request({}), 'third')).created, true);
  });
});

test('the embedded queue whose files are removed is made anew, and computes each job, once', async () => {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'emp-embedded-faults-'));
  const site = await openSite({ dataDirectory }, false);
  try {
    const ids = await submitMany(site.jobs, traces, 'embedded');
    await rm(join(dataDirectory, 'queue', 'pgdata'), { recursive: true });
    let isAnew = false;
    site.backend.onReturn?.(() => {
      isAnew = true;
    });
    // A busy machine takes half a minute to make a database.
    await until(async () => (await queuedCount(site.jobs)) >= 0 && isAnew, 4 * LONG_MS);
    await until(async () => (await queuedCount(site.jobs)) === WAITING);
    const worker = await startTestWorker(site.store, site.backend);
    await assertDone(site.jobs, ids, 'embedded').finally(() => worker.close());
  } finally {
    await site.close();
    await rm(dataDirectory, { recursive: true, force: true, maxRetries: 5 });
  }
});

test('a PostgreSQL that is restarted, and has lost its jobs or its tables, computes each once', async () => {
  const postgres = await startPostgres();
  const directory = await mkdtemp(join(tmpdir(), 'emp-postgres-faults-'));
  const settings = { databaseUrl: postgres.url, dataDirectory: join(directory, 'data') };
  const jobsOnly = await openSite(settings, false);
  try {
    const ids = await submitMany(jobsOnly.jobs, traces, 'postgres');
    const operate = async (sql: string) => {
      const operator = new Client({ connectionString: postgres.url });
      await operator.connect();
      await operator.query(sql).finally(() => operator.end());
    };
    await operate('TRUNCATE bullmq.job, bullmq.meta, bullmq.event CASCADE');
    assert.equal(await queuedCount(jobsOnly.jobs), 0);
    await postgres.restart();
    await until(() =>
      jobsOnly.jobs.recover().then(
        () => true,
        () => false,
      ),
    );
    assert.equal(await queuedCount(jobsOnly.jobs), WAITING);
    const site = await openSite(settings);
    try {
      await postgres.restart();
      await assertDone(site.jobs, ids, 'postgres');
      await site.jobs.ping();
      await site.worker.close();
      const later = await submitMany(site.jobs, traces, 'dropped');
      await operate('DROP SCHEMA bullmq CASCADE');
      await site.jobs.ping();
      await until(async () => (await queuedCount(site.jobs)) === WAITING);
      const worker = await startTestWorker(site.store, site.backend);
      await assertDone(site.jobs, later, 'dropped').finally(() => worker.close());
    } finally {
      await site.close();
    }
  } finally {
    await jobsOnly.close();
    await postgres.stop();
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
});
