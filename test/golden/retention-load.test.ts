import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openTenants } from '../../src/jobs/tenants.ts';
import { startWorkers } from '../../src/jobs/workers.ts';
import { KEEP_ALL } from '../../src/storage/retention-terms.ts';
import { publishModel } from '../jobs/open-jobs.ts';
import { openStack } from '../jobs/open-stack.ts';
import { LIMITS, log, request } from '../jobs/site.ts';

const JOBS = 10_000;
/** What waits or runs at a time. */
const AT_ONCE = 200;
/** Of an artifact of the tests' child, a digest, beside what a run has published of itself. */
const BYTES = 200_000;
const LOOK_MS = 2000;

test('while ten thousand jobs are made and end, the oldest go, none before it has ended, and the disk stays within its bound', async () => {
  await using opened = new AsyncDisposableStack();
  const { directory, stores, connect } = await openStack(opened);
  const backend = await connect();
  const retention = { ...KEEP_ALL, bytes: BYTES };
  const tenants = opened.adopt(await openTenants({ stores, backend, log, retention }), (one) => one.close());
  const worker = await startWorkers({
    ...{ stores, backend, log, limits: LIMITS, concurrency: 3 },
    program: new URL('../jobs/test-child.ts', import.meta.url),
  });
  opened.defer(() => worker.close());
  const { store, jobs } = await tenants.of(null);
  await publishModel(store);
  tenants.keepExpiring(LOOK_MS);
  const trace = join(directory, 'trace');
  const used: number[] = [];
  let made = 0;
  const submitOn = async () => {
    while (made < JOBS) {
      made++;
      const { job } = await jobs.submit({ ...request({ trace }), lane: made % 4 === 0 ? 'short' : 'long' });
      // Null once it has ended and gone, which may be before anybody looks.
      const ended = await jobs.wait(job.id, 120_000);
      assert.ok(ended === null || ended.status === 'succeeded', JSON.stringify(ended));
      if (made % 100 === 0) used.push(await store.usedBytes());
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, submitOn));
  const runs = (await readFile(trace, 'utf8')).trim().split('\n');
  assert.equal(runs.length, JOBS, 'each was computed once');
  assert.ok(await store.readRecord('models', 'mdl_0000000000'), 'what jobs need is there');
  for (const end = Date.now() + 60_000; (await store.usedBytes()) > BYTES; await sleep(100))
    assert.ok(Date.now() < end, `${await store.usedBytes()} bytes are left`);
  // Between two looks a few thousand may end at most.
  assert.ok(Math.max(...used) < 5 * BYTES, `${Math.max(...used)}`);
  assert.deepEqual(await store.listUnfinished(), []);
});
