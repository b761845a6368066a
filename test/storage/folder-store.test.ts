import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { FolderStore } from '../../src/storage/folder-store.ts';
import { publish, recordOf, storeConformance } from './conformance.ts';

const run = promisify(execFile);

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emp-store-'));
});
after(() => rm(directory, { recursive: true, force: true }));

describe('a folder as a store', () => {
  storeConformance(() => FolderStore.open(join(directory, 'conformance')));
});

describe('the uploads of another host', () => {
  const DAY_MS = 24 * 3600 * 1000;
  let root: string;
  let store: FolderStore;
  before(async () => {
    root = join(directory, 'uploads-of-others');
    store = await FolderStore.open(root);
  });
  after(() => store.close());

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
    const sweep = async () => {
      const uploads = join(root, 'uploads');
      for (const name of await readdir(uploads)) await rm(join(uploads, name), { recursive: true });
    };
    await sweep();
    const { record } = await publish(store, 'jobs', recordOf('jobs'));
    await sweep();
    assert.equal(await store.decideOnce({ kind: 'jobs', id: record.id, name: 'result.json' }, '{}'), '{}');
    await sweep();
    assert.equal(await store.decideOnce({ kind: 'idempotency', id: '00' }, record.id), record.id);
    await sweep();
    await store.ping();
    await sweep();
    assert.equal(await store.remove('jobs', record.id), true);
  });
});

describe('a data directory of an earlier version', () => {
  const NEEDED = 'mdl_9999999999';
  const write = async (root: string, path: string, content: unknown) => {
    await mkdir(join(root, path, '..'), { recursive: true });
    await writeFile(join(root, path), JSON.stringify(content));
  };
  /** Folders as they were when every list read every record. */
  async function writeOlder(root: string) {
    const records = ['2026-01-31T10:00:00.000Z', '2026-02-01T10:00:00.000Z', '2025-12-31T10:00:00.000Z'].map(
      (time) => ({
        models: recordOf('models', time),
        jobs: { ...recordOf('jobs', time), model_id: NEEDED, request_sha256: 'ab' },
      }),
    );
    for (const { models, jobs } of records) {
      await write(root, `models/${models.id}/record.json`, models);
      await write(root, `jobs/${jobs.id}/record.json`, jobs);
    }
    const [ended, cut, waiting] = records.map(({ jobs }) => jobs.id);
    await write(root, `jobs/${ended}/result.json`, {});
    await write(root, `jobs/${ended}/artifacts/report.json`, {});
    await write(root, `jobs/${cut}/attempt-0123456789ab/model.bin`, 'half');
    const newestFirst = [records[1], records[0], records[2]];
    return { newestFirst, ended, unfinished: [cut, waiting].sort() };
  }
  async function assertWhole(store: FolderStore, older: Awaited<ReturnType<typeof writeOlder>>) {
    for (const kind of ['models', 'jobs'] as const) {
      const { data } = await store.listRecords(kind, 10);
      const expected = older.newestFirst.map((record) => record?.[kind]);
      assert.deepEqual(data, expected);
    }
    assert.deepEqual(await store.listUnfinished(), older.unfinished);
    assert.deepEqual((await Array.fromAsync(store.listNeeding(NEEDED))).sort(), older.unfinished);
  }

  test('lists as before, knows what is unfinished, and has lost what attempts left', async () => {
    const root = join(directory, 'older');
    const older = await writeOlder(root);
    const module = fileURLToPath(new URL('../../src/storage/folder-store.ts', import.meta.url));
    const script = `import { FolderStore } from ${JSON.stringify(module)};
      await (await FolderStore.open(${JSON.stringify(root)})).close();`;
    // API and workers start at the same time.
    await Promise.all([1, 2, 3].map(() => run(process.execPath, ['--input-type=module', '--eval', script])));
    for (let start = 1; start <= 2; start++) {
      const store = await FolderStore.open(root);
      await assertWhole(store, older);
      await store.close();
    }
    assert.deepEqual(await readdir(join(root, 'uploads')), []);
    assert.deepEqual(await readdir(join(root, 'jobs', older.ended ?? '', 'artifacts')), ['report.json']);
    for (const id of older.unfinished)
      assert.deepEqual(await readdir(join(root, 'jobs', id ?? '')), ['record.json']);
  });

  for (const lost of ['index/unfinished', 'index/needed', 'index/jobs', 'index/models', 'index']) {
    test(`is whole again when ${lost} was lost, and passes over files of others in it`, async () => {
      const root = join(directory, `lost-${lost.replace('/', '-')}`);
      const older = await writeOlder(root);
      await (await FolderStore.open(root)).close();
      await rm(join(root, lost), { recursive: true });
      await using stack = new AsyncDisposableStack();
      const store = stack.adopt(await FolderStore.open(root), (opened) => opened.close());
      for (const folder of ['index/models', 'index/jobs/2026-01', 'index/jobs/2026-01/31T10'])
        await writeFile(join(root, folder, '.nfs01'), '');
      await assertWhole(store, older);
    });
  }

  test('lists what can be read where a record is damaged', async () => {
    const root = join(directory, 'damaged');
    const { newestFirst } = await writeOlder(root);
    await writeFile(join(root, 'models', newestFirst[1]?.models.id ?? '', 'record.json'), '');
    await using stack = new AsyncDisposableStack();
    const store = stack.adopt(await FolderStore.open(root), (opened) => opened.close());
    const { data } = await store.listRecords('models', 10);
    assert.deepEqual(data, [newestFirst[0]?.models, newestFirst[2]?.models]);
  });

  test('an idempotency key of then stands for the job of then', async () => {
    const root = join(directory, 'older-key');
    await mkdir(join(root, 'idempotency'), { recursive: true });
    await writeFile(join(root, 'idempotency', 'ab12'), 'job_0000000000');
    await using stack = new AsyncDisposableStack();
    const store = stack.adopt(await FolderStore.open(root), (opened) => opened.close());
    assert.equal(
      await store.decideOnce({ kind: 'idempotency', id: 'ab12' }, 'job_1111111111'),
      'job_0000000000',
    );
  });

  test('is indexed by the next start when the first was cut short', async () => {
    const root = join(directory, 'older-cut');
    const { newestFirst, unfinished } = await writeOlder(root);
    const abandoned = join(root, 'uploads', 'nobody~0~00000000', 'half');
    await mkdir(join(abandoned, 'unfinished'), { recursive: true });
    const store = await FolderStore.open(root);
    const { data } = await store.listRecords('jobs', 10);
    assert.deepEqual(
      data,
      newestFirst.map((record) => record?.jobs),
    );
    assert.deepEqual(await store.listUnfinished(), unfinished);
    await store.close();
  });
});

describe('of much that is stored', () => {
  test('a page, a start and what is unfinished read the page and what is unfinished', async () => {
    const root = join(directory, 'much');
    const store = await FolderStore.open(root);
    const hourOf = (i: number) => `2026-01-${String(10 + i).padStart(2, '0')}T00:00:00.000Z`;
    const records = Array.from({ length: 18 }, (_, i) => recordOf('jobs', hourOf(i)));
    for (const record of records) await publish(store, 'jobs', record);
    await store.addUnfinished(records[17]?.id ?? '');
    await store.close();
    // Whoever reads one of the others, or its hour's names, fails.
    for (const { id } of records.slice(0, 10))
      await writeFile(join(root, 'jobs', id, 'record.json'), 'broken');
    for (const [i] of records.slice(0, 10).entries()) {
      const hour = join(root, 'index', 'jobs', '2026-01', `${10 + i}T00`);
      await rm(hour, { recursive: true });
      await writeFile(hour, '');
    }
    const again = await FolderStore.open(root);
    const page = await again.listRecords('jobs', 7);
    assert.deepEqual(page.data, records.slice(11).reverse());
    assert.notEqual(page.next_cursor, null);
    assert.deepEqual(await again.listUnfinished(), [records[17]?.id]);
    await again.close();
  });

  test('what a crash left in the index is passed over', async () => {
    const root = join(directory, 'crashed');
    const store = await FolderStore.open(root);
    const time = '2026-05-01T12:00:00.000Z';
    const { record } = await publish(store, 'models', recordOf('models', time));
    const hour = join(root, 'index', 'models', '2026-05', '01T12');
    // Killed between entry and resource: of another model, of another upload of this one, and of one that came 20 times.
    await writeFile(join(hour, `${time}~mdl_9999999999`), '');
    for (let i = 10; i < 30; i++) await writeFile(join(hour, `2026-05-01T12:00:${i}.000Z~${record.id}`), '');
    assert.deepEqual(await store.listRecords('models', 1), { data: [record], next_cursor: null });
    assert.equal(await store.remove('models', record.id), true);
    assert.deepEqual(await store.listRecords('models', 1), { data: [], next_cursor: null });
    await store.close();
  });
});
