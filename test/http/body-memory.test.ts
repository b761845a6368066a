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

test('a body of unknown length takes its bytes once, copied as they come', async () => {
  const sent = Buffer.from(Array.from({ length: 60 }, (_, i) => i));
  const chunks = async function* () {
    for (let at = 0; at < sent.length; at += 20) {
      const chunk = Buffer.from(sent.subarray(at, at + 20));
      yield chunk;
      // What is joined only in the end, all in one turn, would be of these.
      chunk.fill(255);
    }
  };
  const rules = { limit: 1000, advice: 'send less', cost: 1, hold: new BodyMemory(60).hold() };
  const body = await readBody(Readable.from(chunks()), {}, rules);
  assert.deepEqual(body, sent);
  assert.equal(body.buffer.byteLength, sent.length);
});
