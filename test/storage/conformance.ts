import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { freshId, parseCursor } from '../../src/storage/ids.ts';
import type { Kind, Store, StoredRecord } from '../../src/storage/store.ts';

export interface NamedRecord extends StoredRecord {
  readonly name: string;
}

let made = 0;
/** A record of an id of its own, of a time that is given or now. */
export function recordOf(kind: Kind, created_at = new Date().toISOString()): NamedRecord {
  const prefix = { models: 'mdl', datasets: 'dat', jobs: 'job', searches: 'sea' }[kind];
  return { id: `${prefix}_${String(made++).padStart(10, '0')}`, created_at, name: `number ${made}` };
}

/** Publishes a resource with the files given by name. */
export async function publish<T extends StoredRecord>(
  store: Store,
  kind: Kind,
  record: T,
  files: Record<string, string> = {},
) {
  const upload = await store.createUpload();
  await fill(upload.files, files);
  return store.publish(kind, upload, record);
}

async function repeat(times: number, act: (round: number) => Promise<unknown>): Promise<void> {
  for (let round = 0; round < times; round++) await act(round);
}

async function fill(directory: string, files: Record<string, string>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), content);
  }
}

/**
 * What every store promises.
 * @param open opens the same store anew each time, as another process would; the first time it is empty
 */
export function storeConformance(open: () => Promise<Store>): void {
  let store: Store;
  let other: Store;
  before(async () => {
    store = await open();
    other = await open();
  });
  after(async () => {
    await store.close();
    await other.close();
  });
  const kinds: readonly Kind[] = ['models', 'datasets', 'jobs', 'searches'];

  for (const kind of kinds) {
    describe(`of ${kind}`, () => {
      test('an upload hears whether there is room', async () => {
        const upload = await store.createUpload();
        const free = await store.freeBytes();
        assert.ok(free > 0);
        for (const byteLength of [0, 1, 100]) await upload.ensureRoom(byteLength);
        await assert.rejects(upload.ensureRoom(free * 2), { code: 'insufficient_storage' });
        await upload.discard();
      });

      test('an upload becomes visible whole, to every process', async () => {
        const upload = await store.createUpload();
        await fill(upload.files, { 'a.bin': 'content', 'deep/down.bin': '' });
        await upload.writeJson('inventory.json', { n: 1 });
        const record = recordOf(kind);
        assert.equal(await other.readRecord(kind, record.id), null);
        assert.equal(await other.readJson(kind, record.id, 'inventory.json'), null);
        assert.equal(await other.openDocument(kind, record.id, 'inventory.json'), null);
        assert.deepEqual(await store.publish(kind, upload, record), { record, created: true });
        assert.deepEqual(await other.readRecord(kind, record.id), record);
        assert.deepEqual(await other.readJson(kind, record.id, 'inventory.json'), { n: 1 });
        const document = await other.openDocument(kind, record.id, 'inventory.json');
        assert.equal(document && (await text(document)), '{"n":1}');
        assert.equal(await text(other.readFile(kind, record.id, 'a.bin')), 'content');
        assert.equal(await text(other.readFile(kind, record.id, 'deep/down.bin')), '');
        await upload.discard();
        assert.equal(await text(other.readFile(kind, record.id, 'a.bin')), 'content');
      });

      test('what is discarded never was', async () => {
        const upload = await store.createUpload();
        await fill(upload.files, { 'a.bin': 'content' });
        await upload.discard();
        await assert.rejects(readFile(join(upload.files, 'a.bin')), { code: 'ENOENT' });
      });

      test('the first of an id stays, with its time and its place in the list', async () => {
        const record = recordOf(kind, '2030-01-01T00:00:00.000Z');
        await publish(store, kind, record, { 'a.bin': 'first' });
        for (const created_at of [record.created_at, '2031-01-01T00:00:00.000Z']) {
          const again = await publish(other, kind, { ...record, created_at, name: 'again' }, { 'b.bin': '' });
          assert.deepEqual(again, { record, created: false });
        }
        assert.equal(await text(store.readFile(kind, record.id, 'a.bin')), 'first');
        await assert.rejects(text(store.readFile(kind, record.id, 'b.bin')), { code: 'ENOENT' });
        const { data } = await store.listRecords<NamedRecord>(kind, 100);
        assert.deepEqual(
          data.filter(({ id }) => id === record.id),
          [record],
        );
      });

      test('of many who publish an id at once, one does', async () => {
        const record = recordOf(kind, '2030-02-01T00:00:00.000Z');
        const all = await Promise.all(
          Array.from({ length: 8 }, (_, i) => {
            const created_at = `2030-02-01T00:00:00.00${i % 4}Z`;
            return publish(i % 2 ? store : other, kind, { ...record, created_at }, { 'a.bin': 'same' });
          }),
        );
        assert.equal(all.filter(({ created }) => created).length, 1);
        const first = await store.readRecord(kind, record.id);
        for (const published of all) assert.deepEqual(published.record, first);
        const { data } = await other.listRecords(kind, 100);
        assert.deepEqual(
          data.filter(({ id }) => id === record.id),
          [first],
        );
      });

      test('what is published while it is removed is there or not: nobody fails', async () => {
        const record = recordOf(kind);
        await Promise.all(
          [store, other].flatMap((one, nth) => [
            repeat(60, (round) =>
              publish(
                one,
                kind,
                { ...record, created_at: new Date(2 * round + nth).toISOString() },
                { a: 'b' },
              ),
            ),
            repeat(120, () => one.remove(kind, record.id)),
          ]),
        );
        await store.remove(kind, record.id);
        await publish(store, kind, record);
        assert.deepEqual(await store.readRecord(kind, record.id), record);
        await store.remove(kind, record.id);
      });

      test('a file is read whole or by range', async () => {
        const record = recordOf(kind);
        await publish(store, kind, record, { 'a.bin': '0123456789' });
        assert.equal(await text(store.readFile(kind, record.id, 'a.bin', { start: 0, end: 0 })), '0');
        assert.equal(await text(store.readFile(kind, record.id, 'a.bin', { start: 3, end: 6 })), '3456');
        await assert.rejects(text(store.readFile(kind, record.id, 'b.bin')), { code: 'ENOENT' });
      });

      test('files are checked out as a folder', async () => {
        const record = recordOf(kind);
        await publish(store, kind, record, { 'deep/a.bin': 'content' });
        await using checkout = await other.checkOut(kind, record.id);
        assert.equal(await readFile(join(checkout.directory, 'deep/a.bin'), 'utf8'), 'content');
      });

      test('a document is replaced whole, and goes with its resource', async () => {
        const record = recordOf(kind);
        await publish(store, kind, record);
        assert.equal(await store.readJson(kind, record.id, 'more.json'), null);
        await store.writeText(kind, record.id, 'more.json', JSON.stringify({ a: [1] }));
        await other.writeText(kind, record.id, 'more.json', JSON.stringify(null));
        assert.equal(await store.readJson(kind, record.id, 'more.json'), null);
        await other.writeText(kind, record.id, 'more.json', '{ "b": 2 }');
        assert.equal(await store.readText(kind, record.id, 'more.json'), '{ "b": 2 }');
        assert.deepEqual(await store.readJson(kind, record.id, 'more.json'), { b: 2 });
        await store.remove(kind, record.id);
        assert.equal(await store.readJson(kind, record.id, 'more.json'), null);
        await assert.rejects(store.writeText(kind, record.id, 'more.json', JSON.stringify({})));
      });

      test('what is removed is gone at once, and may come again', async () => {
        const record = recordOf(kind, '2030-03-01T00:00:00.000Z');
        await publish(store, kind, record, { 'a.bin': 'first' });
        assert.equal(await other.remove(kind, record.id), true);
        assert.equal(await store.remove(kind, record.id), false);
        assert.equal(await store.readRecord(kind, record.id), null);
        await assert.rejects(text(store.readFile(kind, record.id, 'a.bin')), { code: 'ENOENT' });
        const later = { ...record, created_at: '2030-03-02T00:00:00.000Z' };
        assert.equal((await publish(other, kind, later, { 'a.bin': 'second' })).created, true);
        assert.equal(await text(store.readFile(kind, record.id, 'a.bin')), 'second');
        const { data } = await store.listRecords(kind, 100);
        assert.deepEqual(
          data.filter(({ id }) => id === record.id),
          [later],
        );
      });

      test('records are listed by page, the newest first, whatever comes and goes meanwhile', async () => {
        const times = [
          '2040-02-01T00:00:00.001Z',
          '2040-02-01T00:00:00.000Z',
          '2040-02-01T00:00:00.000Z',
          '2040-01-31T23:59:59.999Z',
          '2040-01-31T22:00:00.000Z',
          '2040-01-01T05:00:00.000Z',
          '2039-12-31T23:00:00.000Z',
        ];
        const records = times.map((time) => recordOf(kind, time));
        // Of two of the same time the higher id is the newer.
        [records[1], records[2]] = [records[2]!, records[1]!];
        for (const i of [3, 0, 6, 1, 4, 2, 5]) await publish(store, kind, records[i]!);
        const older = await other.listRecords(kind, 100);
        assert.deepEqual(older.data.slice(0, 7), records);
        assert.equal(older.next_cursor, null);

        const seen: StoredRecord[] = [];
        let cursor: string | undefined;
        do {
          const page = await store.listRecords(kind, 2, cursor);
          seen.push(...page.data);
          cursor = page.next_cursor ?? undefined;
          if (seen.length === 4) {
            await other.remove(kind, records[3]!.id);
            await other.remove(kind, records[4]!.id);
            await publish(other, kind, recordOf(kind, '2041-01-01T00:00:00.000Z'));
          }
        } while (cursor);
        assert.deepEqual(
          seen.map(({ id }) => id),
          older.data.map(({ id }) => id).filter((id) => id !== records[4]!.id),
        );
        assert.deepEqual((await store.listRecords(kind, 0)).data, []);

        // Beside what others left: entries of nothing, or of another time than the record's.
        const { data: all } = await store.listRecords(kind, 100);
        const timeOf = new Map(all.map(({ id, created_at }) => [id, created_at]));
        const entries = async (cursor?: string) =>
          (await Array.fromAsync(other.listEntries(kind, cursor))).filter(
            ({ id, created_at }) => timeOf.get(id) === created_at,
          );
        const expected = all.map(({ id, created_at }) => ({ created_at, id }));
        assert.deepEqual(await entries(), expected);
        const { next_cursor } = await store.listRecords(kind, 3);
        assert.deepEqual(await entries(next_cursor ?? assert.fail()), expected.slice(3));
      });

      test('a page of large records ends early, and the next goes on', async () => {
        const note = 'x'.repeat(400_000);
        const large = Array.from({ length: 7 }, (_, i) => ({
          ...recordOf(kind, `2050-01-01T00:00:0${6 - i}.000Z`),
          note,
        }));
        for (const record of large) await publish(store, kind, record);
        const first = await other.listRecords(kind, 100);
        assert.ok(first.data.length < large.length, `${first.data.length} records`);
        const seen = [...first.data];
        for (let cursor = first.next_cursor; cursor !== null && seen.length < large.length; ) {
          const page = await other.listRecords(kind, 100, cursor);
          seen.push(...page.data);
          cursor = page.next_cursor;
        }
        assert.deepEqual(seen.slice(0, large.length), large);
        for (const { id } of large) await other.remove(kind, id);
      });

      test('an id that is none names nothing', async () => {
        for (const id of ['', '..', '../models', 'mdl_', 'mdl_0000000000/..', 'MDL_0000000000']) {
          assert.equal(await store.readRecord(kind, id), null);
          assert.equal(await store.remove(kind, id), false);
        }
      });
    });
  }

  test('of many who give a resource its files, one is heard, whole', async () => {
    const record = recordOf('jobs');
    await publish(store, 'jobs', record);
    const give = async (i: number) => {
      const attempt = await (i % 2 ? store : other).createUpload();
      await fill(attempt.files, { 'model.bin': `${i}`, [`only-${i}.bin`]: '' });
      const isHeard = await (i % 2 ? store : other).publishFiles('jobs', record.id, attempt);
      await assert.rejects(readFile(attempt.files), { code: 'ENOENT' });
      return isHeard;
    };
    const heard = await Promise.all(Array.from({ length: 8 }, (_, i) => give(i)));
    assert.equal(heard.filter(Boolean).length, 1);
    const i = heard.indexOf(true);
    assert.equal(await text(store.readFile('jobs', record.id, 'model.bin')), `${i}`);
    assert.equal(await text(store.readFile('jobs', record.id, `only-${i}.bin`)), '');
    assert.equal(await give(9), false);
    assert.equal(await text(store.readFile('jobs', record.id, 'model.bin')), `${i}`);
    assert.deepEqual(await store.readRecord('jobs', record.id), record);
  });

  test('of many who answer a question at once, one is heard, for good', async () => {
    const record = recordOf('jobs');
    await publish(store, 'jobs', record);
    for (const question of [
      { kind: 'jobs', id: record.id, name: 'result.json' },
      { kind: 'idempotency', id: '00ff' },
    ] as const) {
      const answers = Array.from({ length: 16 }, (_, i) => JSON.stringify({ i }));
      const heard = await Promise.all(
        answers.map((answer, i) => (i % 2 ? store : other).decideOnce(question, answer)),
      );
      assert.equal(new Set(heard).size, 1);
      assert.ok(answers.includes(heard[0]!));
      assert.equal(await store.decideOnce(question, 'late'), heard[0]);
    }
    assert.equal(typeof (await other.readJson<{ i: number }>('jobs', record.id, 'result.json'))?.i, 'number');
  });

  test('unfinished jobs are listed from the oldest, and forgotten', async () => {
    const [first, second] = [freshId('job'), freshId('job')].sort();
    assert.ok(first && second);
    await store.addUnfinished(second);
    await other.addUnfinished(first);
    await other.addUnfinished(second);
    assert.deepEqual(await store.listUnfinished(), [first, second]);
    await store.removeUnfinished(second);
    await store.removeUnfinished(second);
    assert.deepEqual(await other.listUnfinished(), [first]);
    await other.removeUnfinished(first);
    assert.deepEqual(await store.listUnfinished(), []);
  });

  test('which unfinished jobs read a resource is told, however they come and go', async () => {
    const needing = async (resource: string) => (await Array.fromAsync(other.listNeeding(resource))).sort();
    const [first, second] = [freshId('job'), freshId('job')].sort();
    assert.ok(first && second);
    const [model, dataset] = ['mdl_0000000000', 'dat_0000000000'];
    await store.addUnfinished(first, [model, dataset]);
    await other.addUnfinished(second, [model]);
    await other.addUnfinished(second, [model]);
    assert.deepEqual(await needing(model), [first, second]);
    assert.deepEqual(await needing(dataset), [first]);
    assert.deepEqual(await needing('mdl_1111111111'), []);
    assert.deepEqual(await needing('../unfinished'), []);
    await other.removeUnfinished(first, [model, dataset]);
    await store.removeUnfinished(first, [model, dataset]);
    assert.deepEqual([await needing(model), await needing(dataset)], [[second], []]);
    const come = (id: string) => store.addUnfinished(id, [dataset]);
    const go = (id: string) => other.removeUnfinished(id, [dataset]);
    const ids = Array.from({ length: 32 }, () => freshId('job'));
    await Promise.all(
      ids.map((id) =>
        repeat(25, async () => {
          await come(id);
          await go(id);
        }),
      ),
    );
    assert.deepEqual(await needing(dataset), []);
    await other.removeUnfinished(second, [model]);
  });

  test('what has been decided can be read, and only that', async () => {
    const question = { kind: 'idempotency', id: '00fe' } as const;
    assert.equal(await store.readAnswer(question), null);
    await store.decideOnce(question, 'so');
    assert.equal(await other.readAnswer(question), 'so');
  });

  test('a secret is withdrawn by one of many, and its place is free again', async () => {
    const question = { kind: 'secrets', id: 'webhooks-1' } as const;
    assert.equal(await store.withdrawAnswer(question), false);
    assert.equal(await store.decideOnce(question, 'first'), 'first');
    assert.equal(await other.decideOnce(question, 'second'), 'first');
    const withdrawn = await Promise.all([store, other, store].map((one) => one.withdrawAnswer(question)));
    assert.equal(withdrawn.filter(Boolean).length, 1);
    assert.equal(await other.readAnswer(question), null);
    assert.equal(await other.decideOnce(question, 'second'), 'second');
    assert.equal(await store.readAnswer({ kind: 'idempotency', id: 'webhooks-1' }), null);
    await store.withdrawAnswer(question);
  });

  test('what somebody is to be told of is listed from the oldest, and forgotten', async () => {
    const [first, second] = [freshId('job'), freshId('sea')].sort();
    await store.addUntold(second);
    for (const one of [other, store]) await one.addUntold(first);
    assert.deepEqual(await other.listUntold(), [first, second]);
    assert.deepEqual(await other.listUnfinished(), []);
    for (const one of [store, other]) await one.removeUntold(first);
    assert.deepEqual(await store.listUntold(), [second]);
    await store.removeUntold(second);
  });

  test('a cursor is what a page gives, nothing else', async () => {
    for (const _ of [1, 2]) await publish(store, 'jobs', recordOf('jobs'));
    const cursor = (await store.listRecords('jobs', 1)).next_cursor ?? '';
    assert.ok(parseCursor(cursor));
    for (const wrong of ['', 'zzz', cursor.slice(4), Buffer.from('2026 ../../x').toString('base64url')])
      assert.equal(parseCursor(wrong), null, wrong);
  });

  test('answers when it can be written', async () => {
    await store.ping();
  });
}
