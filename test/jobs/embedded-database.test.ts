import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { EmbeddedDatabase } from '../../src/jobs/backends/embedded-database.ts';

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
