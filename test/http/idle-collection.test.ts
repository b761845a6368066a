import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { collectWhenIdle } from '../../src/http/idle-collection.ts';

test('what a burst has left is given back without anything more being asked', async (context) => {
  context.after(collectWhenIdle());
  const before = process.memoryUsage().arrayBuffers;
  let burst: Uint8Array[] | null = Array.from({ length: 100 }, () => new Uint8Array(2 ** 20));
  assert.ok(process.memoryUsage().arrayBuffers - before > 90 * 2 ** 20);
  burst = null;
  for (const end = Date.now() + 20_000; Date.now() < end; await sleep(100))
    if (process.memoryUsage().arrayBuffers - before < 50 * 2 ** 20) return;
  assert.fail(`${process.memoryUsage().arrayBuffers - before} bytes are held, ${burst}`);
});
