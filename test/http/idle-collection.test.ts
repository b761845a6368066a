import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { collectWhenIdle } from '../../src/http/idle-collection.ts';

async function assertGivenBack(mebibytes: number): Promise<void> {
  const before = process.memoryUsage().arrayBuffers;
  let burst: Uint8Array[] | null = Array.from({ length: mebibytes }, () => new Uint8Array(2 ** 20));
  assert.ok(process.memoryUsage().arrayBuffers - before > 0.9 * mebibytes * 2 ** 20);
  burst = null;
  for (const end = Date.now() + 20_000; Date.now() < end; await sleep(100))
    if (process.memoryUsage().arrayBuffers - before < 50 * 2 ** 20) return;
  assert.fail(`${process.memoryUsage().arrayBuffers - before} bytes are held, ${burst}`);
}

test('what a burst has left is given back without anything more being asked', async (context) => {
  context.after(collectWhenIdle());
  await assertGivenBack(100);
});

test('a large one also while small requests go on', async (context) => {
  context.after(collectWhenIdle());
  const over = new AbortController();
  const work = async () => {
    while (!over.signal.aborted) {
      const began = performance.now();
      while (performance.now() < began + 8);
      await sleep(12);
    }
  };
  context.after(() => over.abort());
  void work();
  await assertGivenBack(300);
});
