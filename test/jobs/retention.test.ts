import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { noteUse, pin, readKeeping, useResource } from '../../src/jobs/keeping.ts';
import { writeResult } from '../../src/jobs/result.ts';
import { type Removed, removeExpired } from '../../src/jobs/retention.ts';
import { writeSearchResult } from '../../src/jobs/search-records.ts';
import { FolderStore } from '../../src/storage/folder-store.ts';
import { freshId } from '../../src/storage/ids.ts';
import { KEEP_ALL, type Retention } from '../../src/storage/retention-terms.ts';
import type { Kind, Store } from '../../src/storage/store.ts';

const DAY_MS = 24 * 3600 * 1000;
const NOW = Date.parse('2026-06-15T12:00:00Z');
const ago = (days: number) => new Date(NOW - days * DAY_MS).toISOString();
const FOR_TEN_DAYS: Retention = { days: { models: 10, datasets: 10, jobs: 10, searches: 10 }, bytes: null };
const never = new AbortController().signal;
const idOf = (kind: string, name: string | number) => `${kind}_${String(name).padStart(10, '0')}`;

/** Each step of one is so many turns of the loop after the one before: others come in between. */
function slowly(store: Store, pausing: Iterator<number>): Store {
  return new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      if (String(name).startsWith('list')) return value.bind(target);
      return async (...given: unknown[]) => {
        for (let turns = pausing.next().value ?? 0; turns > 0; turns--) await setImmediate();
        return await value.apply(target, given);
      };
    },
  });
}

describe('what is kept', () => {
  let root: string;
  let store: Store;
  let number = 0;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'emp-retention-'));
  });
  after(() => rm(root, { recursive: true, force: true }));
  const anew = async () => {
    store = await FolderStore.open(join(root, `${number++}`));
  };
  const put = async (kind: Kind, id: string, created_at: string, rest: object = {}, bytes = 0) => {
    const upload = await store.createUpload();
    await writeFile(join(upload.files, 'file'), Buffer.alloc(bytes));
    await store.publish(kind, upload, { id, created_at, ...rest });
    await upload.discard();
    return id;
  };
  const putJob = async (model_id: string, created_at: string, isEnded: boolean, rest: object = {}) => {
    const id = freshId('job');
    const data = { scores_dataset_id: null, calibration_dataset_id: null, evaluation_dataset_id: null };
    await store.addUnfinished(id, [model_id]);
    await put('jobs', id, created_at, { model_id, ...data, ...rest });
    if (isEnded) await writeResult(store, id, { status: 'canceled', started_at: null });
    return id;
  };
  const expire = async (retention: Retention, now = NOW) => {
    const removed: Removed[] = [];
    await removeExpired(store, retention, { now, signal: never, onRemoved: (one) => removed.push(one) });
    return removed.map(({ id }) => id).sort();
  };
  const there = async (kind: Kind, id: string) => (await store.readRecord(kind, id)) !== null;

  test('goes when its days are over, and says when that is; what is pinned, used, or younger stays', async () => {
    await anew();
    const [old, young] = [
      await put('models', idOf('mdl', 'a'), ago(11)),
      await put('models', idOf('mdl', 'b'), ago(9)),
    ];
    const [pinned, used] = [
      await put('datasets', idOf('dat', 'c'), ago(99)),
      await put('datasets', idOf('dat', 'd'), ago(99)),
    ];
    await pin(store, 'datasets', pinned, true);
    await noteUse(store, 'datasets', used);
    const keeping = async (kind: Kind, id: string) =>
      readKeeping(store, FOR_TEN_DAYS, kind, (await store.readRecord(kind, id)) ?? assert.fail());
    assert.deepEqual(await keeping('models', young), { pinned: false, expires_at: ago(-1) });
    assert.deepEqual(await keeping('datasets', pinned), { pinned: true, expires_at: null });
    assert.deepEqual(await expire(FOR_TEN_DAYS), [old]);
    assert.deepEqual(await expire({ ...FOR_TEN_DAYS, days: { ...FOR_TEN_DAYS.days, models: null } }), []);
    await pin(store, 'datasets', pinned, false);
    assert.deepEqual(await expire(FOR_TEN_DAYS), [pinned]);
    assert.ok(await there('datasets', used));
  });

  test('a job that goes on stays with what it reads; one that a search shows goes with the search', async () => {
    await anew();
    const [read, unread] = [
      await put('models', idOf('mdl', 'e'), ago(99)),
      await put('models', idOf('mdl', 'f'), ago(99)),
    ];
    const running = await putJob(read, ago(99), false);
    const search = idOf('sea', '1');
    const record = { id: search, created_at: ago(99), model_id: unread };
    await store.addUnfinished(search, [unread]);
    await put('searches', search, record.created_at, record);
    // Its end is now, as the clock of this machine says.
    const inTime = Date.now() + 11 * DAY_MS;
    const part = await putJob(unread, ago(99), true, { search_id: search });
    assert.deepEqual(await expire(FOR_TEN_DAYS, inTime), []);
    await writeSearchResult(store, record as never, { status: 'succeeded', error: null });
    assert.deepEqual(await expire(FOR_TEN_DAYS, inTime), [part, search, unread].sort());
    assert.ok((await there('jobs', running)) && (await there('models', read)));
  });

  test('beyond its bytes what was used longest ago goes first, until there is room', async () => {
    const ages = fc.uniqueArray(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(ages, fc.integer({ min: 0, max: 9 }), async (days, limit) => {
        await anew();
        for (const day of days) await put('models', idOf('mdl', day), ago(day), {}, 100);
        await expire({
          days: { models: null, datasets: null, jobs: null, searches: null },
          bytes: limit * 100,
        });
        const left = days.sort((a, b) => a - b).slice(0, limit);
        for (const day of days) assert.equal(await there('models', idOf('mdl', day)), left.includes(day));
        assert.equal(await store.usedBytes(), 100 * Math.min(limit, days.length));
      }),
      { numRuns: 20 },
    );
  });

  test('nothing goes for an upload that has announced its length, and sent nothing', async () => {
    store = await FolderStore.open(join(root, `${number++}`), { maxBytes: () => 1000 });
    const id = await put('models', idOf('mdl', 'u'), ago(1), {}, 100);
    const upload = await store.createUpload();
    await upload.announce(800);
    assert.equal(await store.usedBytes(), 900);
    assert.deepEqual(await expire({ ...KEEP_ALL, bytes: 100 }), []);
    assert.ok(await there('models', id));
    await upload.discard();
  });

  test('what is pinned or used while others are removed stays', async () => {
    await anew();
    const ids = [];
    for (const age of [4, 3, 2, 1]) ids.push(await put('models', idOf('mdl', age), ago(age), {}, 100));
    const [, pinned, used, last] = ids;
    const removed: string[] = [];
    const notes: Promise<void>[] = [];
    const onRemoved = ({ id }: Removed) => {
      removed.push(id);
      if (removed.length === 1)
        notes.push(pin(store, 'models', pinned, true), noteUse(store, 'models', used));
    };
    // Its notes are written before the next is looked at.
    const waiting = new Proxy(store, {
      get(target, name) {
        const value = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        return name === 'readJson'
          ? async (...given: unknown[]) => {
              await Promise.all(notes);
              return value.apply(target, given);
            }
          : value.bind(target);
      },
    });
    await removeExpired(waiting, { ...KEEP_ALL, bytes: 0 }, { now: NOW, signal: never, onRemoved });
    assert.deepEqual(removed, [ids[0], last]);
  });

  test('a pin that was acknowledged holds, whoever removes and uploads meanwhile', async () => {
    const step = fc.constantFrom('pin', 'expire', 'expire', 'put');
    const pauses = fc.infiniteStream(fc.oneof(fc.nat(4), fc.nat(150)));
    const id = idOf('mdl', '1');
    await fc.assert(
      fc.asyncProperty(pauses, fc.array(step, { minLength: 2, maxLength: 8 }), async (pausing, steps) => {
        await anew();
        await put('models', id, ago(99));
        const slow = slowly(store, pausing);
        let isPinned = false;
        const acts = {
          pin: () =>
            pin(slow, 'models', id, true).then(
              () => {
                isPinned = true;
              },
              (error) => assert.equal(error.code, 'not_found'),
            ),
          put: async () => {
            const upload = await slow.createUpload();
            await slow.publish('models', upload, { id, created_at: ago(98) });
            await upload.discard();
          },
          expire: () => removeExpired(slow, FOR_TEN_DAYS, { now: NOW, signal: never, onRemoved: () => {} }),
        };
        await Promise.all(steps.map((kind) => acts[kind]()));
        if (!isPinned) return;
        await expire(FOR_TEN_DAYS);
        assert.ok(await there('models', id), 'a pinned model is gone');
      }),
      { numRuns: 60 },
    );
  });

  test('nothing that a job was let in with is ever removed, whoever comes first', async () => {
    const step = fc.constantFrom('submit', 'expire', 'expire');
    const pauses = fc.infiniteStream(fc.oneof(fc.nat(4), fc.nat(150)));
    await fc.assert(
      fc.asyncProperty(pauses, fc.array(step, { minLength: 2, maxLength: 8 }), async (pausing, steps) => {
        await anew();
        await put('models', idOf('mdl', '1'), ago(99));
        const slow = slowly(store, pausing);
        const letIn: string[] = [];
        const submit = async (i: number) => {
          const id = idOf('job', i);
          await slow.addUnfinished(id, [idOf('mdl', '1')]);
          await put('jobs', id, ago(0), { model_id: idOf('mdl', '1') });
          try {
            await useResource(slow, idOf('mdl', '1'));
          } catch {
            await slow.remove('jobs', id);
            await slow.removeUnfinished(id, [idOf('mdl', '1')]);
            return;
          }
          letIn.push(id);
        };
        const act = (kind: string, i: number) =>
          kind === 'submit'
            ? submit(i)
            : removeExpired(slow, FOR_TEN_DAYS, { now: NOW, signal: never, onRemoved: () => {} });
        await Promise.all(steps.map(act));
        if (letIn.length > 0) assert.ok(await there('models', idOf('mdl', '1')), 'a job has lost its model');
      }),
      { numRuns: 60 },
    );
  });
});
