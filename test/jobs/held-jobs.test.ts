import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { NO_QUOTAS, type Quotas } from '../../src/access/quotas.ts';
import { openTenants } from '../../src/jobs/tenants.ts';
import { startWorkers } from '../../src/jobs/workers.ts';
import { publishModel } from './open-jobs.ts';
import { openStack } from './open-stack.ts';
import { LIMITS, log, request } from './site.ts';

const RUNNING = 2;
const QUOTAS: Quotas = {
  of: (tenant) => ({ ...NO_QUOTAS.of(tenant), running_jobs: tenant === 'held' ? RUNNING : null }),
};
const LONG_MS = 30_000;
const ENDLESS = { steps: '1000', stepMs: '100' };

test('of a tenant no more jobs run than may, the highest priority first, and others are not held up by it', async () => {
  await using opened = new AsyncDisposableStack();
  const { directory, stores, connect } = await openStack(opened);
  const open = async () => {
    const backend = await connect();
    const tenants = await openTenants({ stores, backend, log, quotas: QUOTAS });
    return { backend, tenants: opened.adopt(tenants, (one) => one.close()) };
  };
  // As an API and a worker have their own.
  const [api, other] = [await open(), await open()];
  const [held, free] = [await api.tenants.of('held'), await api.tenants.of('free')];
  for (const { store } of [held, free]) await publishModel(store);
  const trace = join(directory, 'trace');
  const submit = async ({ jobs }: typeof held, metadata: Record<string, string>, priority?: number) => {
    const asked = { ...request({ trace, ...metadata }), ...(priority !== undefined && { priority }) };
    return (await jobs.submit(asked)).job.id;
  };
  const running = [await submit(held, ENDLESS), await submit(held, ENDLESS)];
  const waiting = [await submit(held, {}), await submit(held, {}), await submit(held, {}, 9)];
  const worker = await startWorkers({
    ...{ stores, backend: other.backend, log, limits: { ...LIMITS, timeMs: 60_000 }, concurrency: 4 },
    program: new URL('./test-child.ts', import.meta.url),
  });
  opened.defer(() => worker.close());
  const usage = async () => (await held.quota.usage()).used;
  const until = async (holds: () => Promise<boolean>) => {
    for (const end = Date.now() + LONG_MS; !(await holds()); await sleep(20)) assert.ok(Date.now() < end);
  };
  await until(async () => (await usage()).running_jobs === RUNNING);
  const one = await free.jobs.wait(await submit(free, {}), LONG_MS);
  assert.equal(one?.status, 'succeeded');
  // Whoever looks at a job that is held back, and recovery, lets none in either.
  assert.deepEqual((await held.jobs.list(10)).data.map(({ status }) => status).sort(), [
    'queued',
    'queued',
    'queued',
    'running',
    'running',
  ]);
  await api.tenants.recover();
  await sleep(300);
  assert.deepEqual(
    { ...(await usage()), bytes: 0 },
    { bytes: 0, waiting_jobs: 3, running_jobs: RUNNING, searches_per_day: 0 },
  );
  await held.jobs.cancel(running[0]);
  const ends: string[] = [];
  for (const id of [waiting[2], waiting[0], waiting[1]]) {
    const job = await held.jobs.wait(id, LONG_MS);
    assert.equal(job?.status, 'succeeded', JSON.stringify(job?.error));
    ends.push(job.started_at ?? '');
  }
  assert.deepEqual(ends, [...ends].sort());
  await held.jobs.cancel(running[1]);
});
