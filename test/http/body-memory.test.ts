import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { readBody } from '../../src/http/body.ts';
import { BodyMemory } from '../../src/http/body-memory.ts';

const read = (memory: BodyMemory, bytes: number) => {
  const hold = memory.hold();
  const rules = { limit: 1000, advice: 'send less', cost: 1, hold };
  const headers = { 'content-length': String(bytes) };
  const body = readBody(Readable.from([Buffer.alloc(bytes)]), headers, rules);
  return { hold, body };
};

test('bodies together take no more than the memory set aside, and give it back', async () => {
  const memory = new BodyMemory(100);
  const first = read(memory, 60);
  assert.equal((await first.body).byteLength, 60);
  await assert.rejects(read(memory, 41).body, { code: 'not_ready' });
  await read(memory, 40).body;
  await assert.rejects(read(memory, 1).body, { code: 'not_ready' });
  first.hold.release();
  first.hold.release();
  await read(memory, 60).body;
  await assert.rejects(read(memory, 1).body, { code: 'not_ready' });
});
