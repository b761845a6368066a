import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { unfinishedRecord } from '../../src/jobs/needed-by.ts';
import { unfinishedSearch } from '../../src/jobs/search-records.ts';
import { FolderStore } from '../../src/storage/folder-store.ts';
import { freshId } from '../../src/storage/ids.ts';

const MODEL = 'mdl_0000000000';
const HOUR_MS = 3600 * 1000;

for (const [prefix, look, kind] of [
  ['job', unfinishedRecord, 'jobs'],
  ['sea', unfinishedSearch, 'searches'],
] as const) {
  test(`the notes of ${kind} that were never published are forgotten once they are old`, async () => {
    await using opened = new AsyncDisposableStack();
    const root = await mkdtemp(join(tmpdir(), 'emp-lost-'));
    opened.defer(() => rm(root, { recursive: true, force: true }));
    const store = opened.adopt(await FolderStore.open(root), (one) => one.close());
    const [young, lost, again, published] = [1, 2, 3, 4].map(() => freshId(prefix));
    for (const id of [young, lost, again, published]) await store.addUnfinished(id, [MODEL]);
    const upload = await store.createUpload();
    await store.publish(kind, upload, {
      id: published,
      created_at: new Date().toISOString(),
      ...{ model_id: MODEL, scores_dataset_id: null },
      ...{ calibration_dataset_id: null, evaluation_dataset_id: null },
    });
    const old = new Date(Date.now() - HOUR_MS);
    for (const id of [lost, again, published]) await utimes(join(root, 'index', 'unfinished', id), old, old);
    // A retry notes it anew.
    await store.addUnfinished(again, [MODEL]);
    for (const id of [young, lost, again, published])
      assert.equal((await look(store, id))?.id ?? null, id === published ? published : null);
    const left = [young, again, published].sort();
    assert.deepEqual(await store.listUnfinished(), left);
    assert.deepEqual((await readdir(join(root, 'index', 'needed', MODEL))).sort(), left);
  });
}
