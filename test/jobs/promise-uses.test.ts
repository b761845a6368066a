import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { countPromise } from '../../src/jobs/promise-uses.ts';
import { FolderStore } from '../../src/storage/folder-store.ts';

test('each promise on the same samples has a number of its own, the same in every attempt', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'emp-uses-'));
  t.after(() => rm(directory, { recursive: true }));
  const stores = [await FolderStore.open(directory), await FolderStore.open(directory)];
  t.after(() => Promise.all(stores.map((store) => store.close())));
  const jobs = Array.from({ length: 12 }, (_, i) => `job_${i}`);
  const count = (job: string, i: number) => countPromise(stores[i % 2], 'dat_a', job);
  const numbers = await Promise.all(jobs.map(count));
  assert.deepEqual(
    numbers.toSorted((a, b) => a - b),
    jobs.map((_, i) => i + 1),
  );
  assert.deepEqual(await Promise.all(jobs.map(count)), numbers);
  assert.equal(await countPromise(stores[0], 'dat_b', 'job_0'), 1);
});
