import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { openIfThere, streamFile } from '../../src/storage/paced-reads.ts';

const content = Buffer.from(Uint8Array.from({ length: 600_000 }, (_, i) => i % 251));
let directory: string;
let path: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'emp-paced-'));
  path = join(directory, 'file');
  await writeFile(path, content);
});
after(() => rm(directory, { recursive: true }));

test('of hundreds of streams that want their next piece a few get it in each turn of the loop', async () => {
  const streams = Array.from({ length: 300 }, () => streamFile(path));
  let got = 0;
  let left = streams.length;
  for (const stream of streams) {
    stream.on('data', () => got++);
    stream.on('end', () => left--);
  }
  let most = 0;
  while (left > 0) {
    const before = got;
    await turn();
    most = Math.max(most, got - before);
  }
  assert.equal(got, 300 * 3);
  assert.ok(most <= 8, `${most} in one turn`);
});

test('a file, a part of it, and one that is opened come as they are', async () => {
  assert.deepEqual(await buffer(streamFile(path)), content);
  assert.deepEqual(
    await buffer(streamFile(path, { start: 262_143, end: 262_145 })),
    content.subarray(262_143, 262_146),
  );
  const opened = await openIfThere(path);
  assert.ok(opened);
  assert.deepEqual(await buffer(opened), content);
});

test('a stream that is given up lets others on, and what is not there is said to be so', async () => {
  const given = Array.from({ length: 50 }, () => streamFile(path).resume());
  await turn();
  for (const stream of given) stream.destroy();
  assert.deepEqual(await buffer(streamFile(path)), content);
  await assert.rejects(buffer(streamFile(`${path}-missing`)), { code: 'ENOENT' });
  assert.equal(await openIfThere(`${path}-missing`), null);
});
