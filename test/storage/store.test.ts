import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isCursor, Store, type StoredRecord } from '../../src/storage/store.ts';

let root: string;
let store: Store;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'emp-store-'));
  store = await Store.open(root);
});
after(async () => {
  await store.close();
  await rm(root, { recursive: true, force: true });
});

const record = (id: string): StoredRecord => ({ id, created_at: '2026-01-01T00:00:00.000Z' });

async function publish(id: string): Promise<boolean> {
  const { created } = await store.publish('jobs', await store.createUpload(), record(id));
  return created;
}

describe('the uploads of another host', () => {
  const DAY_MS = 24 * 3600 * 1000;
  for (const [ageMs, kept] of [
    [DAY_MS - 60_000, true],
    [DAY_MS + 60_000, false],
  ] as const) {
    test(`${kept ? 'stay' : 'go'} ${ageMs} ms after the last change`, async () => {
      const foreign = join(root, 'uploads', 'elsewhere~1~00000000');
      await mkdir(foreign, { recursive: true });
      const changed = new Date(Date.now() - ageMs);
      await utimes(foreign, changed, changed);
      await store.sweep();
      assert.equal((await readdir(join(root, 'uploads'))).includes('elsewhere~1~00000000'), kept);
    });
  }

  test('when this process was taken for dead, it works on', async () => {
    const sweep = () => rm(join(root, 'uploads'), { recursive: true });
    await sweep();
    assert.equal(await publish('job_0000000001'), true);
    await sweep();
    assert.equal(await store.writeJsonOnce('jobs', 'job_0000000001', 'result.json', {}), true);
    await sweep();
    assert.equal(await store.bindIdempotencyKey('00', 'job_0000000001'), 'job_0000000001');
    await sweep();
    await store.ping();
    await sweep();
    assert.equal(await store.remove('jobs', 'job_0000000001'), true);
  });
});

test('a cursor is what a page gives, nothing else', async () => {
  for (const id of ['job_0000000001', 'job_0000000002', 'job_0000000003']) await publish(id);
  const first = await store.listRecords('jobs', 2);
  const cursor = first.next_cursor ?? '';
  assert.equal(isCursor(cursor), true);
  const second = await store.listRecords('jobs', 2, cursor);
  assert.deepEqual(
    [...first.data, ...second.data].map(({ id }) => id),
    ['job_0000000003', 'job_0000000002', 'job_0000000001'],
  );
  assert.equal(second.next_cursor, null);
  for (const other of ['', 'zzz', cursor.slice(4), Buffer.from('2026 ../../x').toString('base64url')])
    assert.equal(isCursor(other), false, other);
});
