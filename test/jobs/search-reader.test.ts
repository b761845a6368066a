import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SearchReader } from '../../src/jobs/search-reader.ts';
import { jobQuestion } from '../../src/jobs/search-records.ts';
import { FolderStore } from '../../src/storage/folder-store.ts';
import { freshId } from '../../src/storage/ids.ts';

test('a best model keeps its turn where the job of one before it was deleted', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'emp-reader-'));
  const store = await FolderStore.open(directory, 0);
  t.after(async () => {
    await store.close();
    await rm(directory, { recursive: true });
  });
  const record = {
    id: freshId('sea'),
    terms: { promise: { max_loss_increase: 0.01 } },
    lines: [],
  };
  const [first, second] = [freshId('job'), freshId('job')];
  for (const [part, id] of [
    ['best', first],
    ['best-2', second],
  ] as const) {
    await store.decideOnce(jobQuestion(record.id, part), id);
    await store.publish('jobs', await store.createUpload(), { id, created_at: new Date().toISOString() });
  }
  const written = async () => {
    const state = await new SearchReader(store, null as never).states(record as never);
    return state.written.map((job) => job?.id ?? null);
  };
  assert.deepEqual(await written(), [first, second]);
  await store.remove('jobs', first);
  assert.deepEqual(await written(), [null, second]);
  await store.remove('jobs', second);
  assert.deepEqual(await written(), []);
});
