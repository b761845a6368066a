import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openTenants } from '../../src/jobs/tenants.ts';
import { publishModel } from './open-jobs.ts';
import { openStack } from './open-stack.ts';
import { log, request } from './site.ts';

test('where the store of one tenant fails, what the queue has lost of the others is queued again', async () => {
  await using opened = new AsyncDisposableStack();
  const { directory, stores, connect } = await openStack(opened);
  const backend = await connect();
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
