import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { NO_QUOTAS } from '../../src/access/quotas.ts';
import { openTenants } from '../../src/jobs/tenants.ts';
import { publishModel } from './open-jobs.ts';
import { openStack } from './open-stack.ts';
import { log, request } from './site.ts';

test('a job beyond the quota leaves neither what came with it nor its key', async () => {
  await using opened = new AsyncDisposableStack();
  const { directory, stores, connect } = await openStack(opened);
  const backend = await connect();
  const quotas = { of: () => ({ ...NO_QUOTAS.of(null), waiting_jobs: 1 }) };
  const tenants = await openTenants({ stores, backend, log, quotas });
  opened.defer(() => tenants.close());
  const { jobs, store } = await tenants.of(null);
  await publishModel(store);
  const first = await jobs.submit(request({}), 'first');
  for (const key of ['second', undefined]) {
    const publish = async () => assert.fail('what came with a refused job was published');
    await assert.rejects(jobs.submit(request({}), key, publish), { code: 'quota_exceeded' });
  }
  assert.equal((await readdir(join(directory, 'idempotency'))).length, 1);
  assert.deepEqual(await store.listUnfinished(), [first.job.id]);
  // The same again is the same job, and takes no place.
  assert.equal((await jobs.submit(request({}), 'first')).job.id, first.job.id);
});
