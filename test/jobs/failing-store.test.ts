import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connectBackend } from '../../src/jobs/backends/connect.ts';
import { openTenants } from '../../src/jobs/tenants.ts';
import { FolderStores } from '../../src/storage/stores.ts';
import { startRedis } from '../services/redis.ts';
import { publishModel } from './open-jobs.ts';
import { log, request } from './site.ts';

test('where the store of one tenant fails, what the queue has lost of the others is queued again', async () => {
  await using opened = new AsyncDisposableStack();
  const redis = await startRedis();
  opened.defer(() => redis.stop());
  const directory = await mkdtemp(join(tmpdir(), 'emp-failing-store-'));
  opened.defer(() => rm(directory, { recursive: true, force: true }));
  const stores = opened.adopt(await FolderStores.open(directory), (one) => one.close());
  const backend = await connectBackend({ dataDirectory: directory, redisUrl: redis.url });
  opened.defer(() => backend.close());
  const tenants = opened.adopt(await openTenants({ stores, backend, log }), (one) => one.close());
  const { store, jobs } = await tenants.of('last');
  await publishModel(store);
  const { id } = (await jobs.submit(request({}))).job;
  for (const lane of ['short', 'long'] as const) {
    const queue = backend.createQueue(lane);
    await queue.remove(id);
    await queue.close();
  }
  const queued = async () => {
    const { short, long } = await tenants.queues.counts();
    return short.queued + long.queued;
  };
  assert.equal(await queued(), 0);
  // It is looked at before the other.
  await writeFile(join(directory, 'tenants/first'), 'no folder');
  await assert.rejects(tenants.recover(), { code: /^(ENOTDIR|EEXIST)$/ });
  assert.equal(await queued(), 1);
});
