import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { EmbeddedDatabase } from '../../src/jobs/backends/embedded-database.ts';
import { freeBytes } from '../../src/storage/free-space.ts';
import { cannotMount, mountDisk } from '../services/small-disk.ts';

let folder: string;
let database: EmbeddedDatabase;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emp-database-'));
  database = new EmbeddedDatabase(folder);
});
after(async () => {
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

test('a statement that takes long holds up nothing here, and later ones wait for it', async () => {
  await database.run({ text: 'SELECT 1' });
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const slow = database.run({ text: 'SELECT pg_sleep(0.3)' });
  const later = database.run({ text: 'SELECT clock_timestamp() AS at', parameters: [] });
  const order = await Promise.all([slow.then(() => turns), later.then(() => turns)]);
  clearInterval(timer);
  assert.ok(order[0] > 10, `${order[0]} turns`);
  assert.ok(order[0] <= order[1]);
});

test('what a statement changes, tells and fails with comes back', async () => {
  const heard: unknown[] = [];
  database.on('notification', (notification) => heard.push(notification));
  const script = 'CREATE TABLE t (n int PRIMARY KEY); LISTEN news; INSERT INTO t VALUES (1), (2);';
  assert.equal((await database.run({ text: script })).rowCount, 2);
  const { rows } = await database.run({ text: 'SELECT n FROM t WHERE n > $1', parameters: [1] });
  assert.deepEqual(rows, [{ n: 2 }]);
  await database.run({ text: "SELECT pg_notify('news', 'it')", parameters: [] });
  while (heard.length === 0) await database.run({ text: 'SELECT 1' });
  assert.deepEqual(heard, [{ channel: 'news', payload: 'it' }]);
  const again = database.run({ text: 'INSERT INTO t VALUES ($1)', parameters: [2] });
  await assert.rejects(again, { code: '23505', message: /duplicate key/ });
});

test('a new one takes the place of what an earlier start left half done, and is ready for a queue', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'emp-database-'));
  const path = join(directory, 'pgdata');
  await mkdir(`${path}.new/base`, { recursive: true });
  await writeFile(`${path}.new/PG_VERSION`, '9');
  const fresh = new EmbeddedDatabase(path);
  t.after(async () => {
    await fresh.close();
    await rm(directory, { recursive: true });
  });
  const tables = "SELECT count(*)::int AS n FROM pg_tables WHERE schemaname = 'bullmq'";
  const { rows } = await fresh.run({ text: tables });
  assert.ok((rows[0] as { n: number }).n > 0);
  assert.deepEqual(await readdir(directory), ['pgdata']);
});

test('a disk that is full for a while ends a thread, not the database: what was told is kept, and the session is as it was', {
  skip: cannotMount,
}, async (context) => {
  const disk = mountDisk(160);
  const ends: unknown[] = [];
  const small = new EmbeddedDatabase(join(disk.path, 'pgdata'), {
    onEnd: (error) => ends.push(error),
  });
  context.after(async () => {
    await small.close();
    disk.unmount();
  });
  await small.run({ text: 'CREATE TABLE t (x text)' });
  await small.run({ text: 'SET search_path TO public, elsewhere' });
  await small.run({ text: 'LISTEN news' });
  const filler = join(disk.path, 'filler');
  // Less than a segment of its log takes.
  await writeFile(filler, Buffer.alloc((await freeBytes(disk.path)) - 12 * 2 ** 20));
  const insertion = {
    text: 'INSERT INTO t SELECT string_agg(random()::text, $1) FROM generate_series(1, 20000)',
    parameters: [' '],
  };
  let inserted = 0;
  await assert.rejects(
    async () => {
      for (; inserted < 1000; inserted++) await small.run(insertion);
    },
    { code: '53100' },
  );
  await rm(filler);
  const countOf = async () =>
    (await small.run({ text: 'SELECT count(*)::int AS n FROM t', parameters: [] })).rows;
  let rows: unknown[] | null = null;
  for (const end = Date.now() + 30_000; rows === null && Date.now() < end; await sleep(50))
    rows = await countOf().catch(() => null);
  assert.deepEqual(rows, [{ n: inserted }]);
  assert.ok(ends.length > 0);
  assert.deepEqual((await small.run({ text: 'SHOW search_path' })).rows, [
    { search_path: 'public, elsewhere' },
  ]);
  const heard = new Promise((resolve) => small.once('notification', resolve));
  await small.run({ text: "SELECT pg_notify('news', 'again')", parameters: [] });
  assert.deepEqual(await heard, { channel: 'news', payload: 'again' });
});

test('a folder that cannot be one is told as what it is, and is not tried again and again', async (context) => {
  const path = join(folder, 'file');
  await writeFile(path, 'no folder');
  const ends: unknown[] = [];
  const broken = new EmbeddedDatabase(path, { onEnd: (error) => ends.push(error) });
  context.after(() => broken.close().catch(() => {}));
  const ask = () => broken.run({ text: 'SELECT 1' });
  await assert.rejects(ask, { message: /^ENOTDIR: .*'.*\/file'$/ });
  assert.ok(!(await readdir(folder)).includes('file.new'));
  const end = Date.now() + 2500;
  let statements = 1;
  for (; Date.now() < end; statements++) await assert.rejects(ask);
  assert.ok(ends.length <= 4 && ends.length < statements, `${ends.length} of ${statements}`);
});

test('whatever is removed of its folder, a database is prepared again, alone, before anything else is run', async (context) => {
  const place = join(folder, 'of-a-queue', 'pgdata');
  const anew = new EmbeddedDatabase(place, {
    prepare: async (run) => {
      for (const text of ['BEGIN', 'CREATE TABLE IF NOT EXISTS t (n int)', 'COMMIT']) await run({ text });
    },
  });
  context.after(() => anew.close());
  let prepared = 0;
  anew.on('anew', () => prepared++);
  const insert = () => anew.run({ text: 'INSERT INTO t VALUES ($1)', parameters: [1] });
  for (const removed of [place, dirname(place)]) {
    await Promise.all([insert(), insert()]);
    await rm(removed, { recursive: true });
    const before = prepared;
    for (const end = Date.now() + 60_000; prepared === before && Date.now() < end; await sleep(50))
      await Promise.all([insert(), insert()].map((one) => one.catch(() => {})));
    assert.ok(prepared > before);
  }
});
