import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend } from '../../src/jobs/backends/backend.ts';
import { openTenants, type Tenants } from '../../src/jobs/tenants.ts';
import { startWorkers } from '../../src/jobs/workers.ts';
import type { FolderStores } from '../../src/storage/stores.ts';
import { publishModel } from './open-jobs.ts';
import { openStack } from './open-stack.ts';
import { LIMITS, log, RETRY, readTrace, request, tracePath } from './site.ts';

const WITHIN_MS = 30_000;
/** As long as the test lasts. */
const LONG = { steps: '1000', stepMs: '100' };

describe('of a tenant that was deleted', () => {
  const opened = new AsyncDisposableStack();
  let directory: string;
  let stores: FolderStores;
  let backend: Backend;
  let tenants: Tenants;
  before(async () => {
    const stack = await openStack(opened);
    ({ directory, stores } = stack);
    backend = await stack.connect();
    tenants = opened.adopt(await openTenants({ stores, backend, log, retry: RETRY }), (one) => one.close());
  });
  after(() => opened.disposeAsync());

  const startWorker = () =>
    startWorkers({
      ...{ stores, backend, concurrency: 1, log, limits: LIMITS, graceMs: 200 },
      ...{ program: new URL('./test-child.ts', import.meta.url), lockMs: 2000, stalledCheckMs: 500 },
    });
  /** A tenant with a model, and a job on it. */
  async function submit(tenant: string, metadata: Record<string, string>) {
    const services = await tenants.of(tenant);
    await publishModel(services.store);
    const trace = tracePath(directory, tenant);
    const { job } = await services.jobs.submit(request({ trace, ...metadata }));
    return { ...services, id: job.id, trace };
  }
  async function untilQueueIsEmpty() {
    const deadline = Date.now() + WITHIN_MS;
    for (;;) {
      const { short, long } = await tenants.queues.counts();
      if (short.queued + short.running + long.queued + long.running === 0) return;
      assert.ok(Date.now() < deadline, JSON.stringify({ short, long }));
      await sleep(50);
    }
  }

  test('and came again, an upload goes on while a job ends with its child', async () => {
    await tenants.of('again');
    assert.ok(await tenants.remove('again'));
    const { store, jobs, id } = await submit('again', { behaviour: 'SIGSEGV' });
    assert.equal(store, await stores.of('again'));
    const upload = await store.createUpload();
    await writeFile(join(upload.files, 'half.onnx'), 'half');
    const worker = await startWorker();
    try {
      assert.equal((await jobs.wait(id, WITHIN_MS))?.status, 'failed');
    } finally {
      await worker.close();
    }
    const record = { id: 'mdl_1111111111', created_at: new Date().toISOString() };
    assert.ok((await store.publish('models', upload, record)).created);
  });

  test('the uploads of what was opened before are nobody else’s', async () => {
    const { store } = await tenants.of('twice');
    await tenants.remove('twice');
    const later = await tenants.of('twice');
    assert.notEqual(later.store, store);
    const upload = await store.createUpload();
    await later.store.sweep();
    const record = { id: 'mdl_1111111111', created_at: new Date().toISOString() };
    assert.ok((await store.publish('models', upload, record)).created);
    assert.ok(await later.store.readRecord('models', record.id));
  });

  test('what the queue still has is dropped, and makes nothing of it anew', async () => {
    const waiting = await submit('waiting', {});
    // As of a job that came when those to be ended had been listed.
    await stores.remove('waiting');
    const worker = await startWorker();
    try {
      await untilQueueIsEmpty();
      const running = await submit('running', LONG);
      const deadline = Date.now() + WITHIN_MS;
      while ((await readTrace(running.trace)).length === 0) {
        assert.ok(Date.now() < deadline);
        await sleep(50);
      }
      await stores.remove('running');
      await untilQueueIsEmpty();
      await tenants.recover();
    } finally {
      await worker.close();
    }
    assert.deepEqual(await readTrace(waiting.trace), []);
    assert.deepEqual(
      (await tenants.names()).filter((name) => ['waiting', 'running'].includes(name)),
      [],
    );
  });
});
