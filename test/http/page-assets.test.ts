import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pageAssets } from '../../src/http/page-assets.ts';

async function children(): Promise<string[]> {
  const text = await readFile(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean);
}

test('the page is bundled once, and the bundler ends with that', async () => {
  const making = Promise.all([pageAssets(), pageAssets()]);
  let [least, most] = [Number.POSITIVE_INFINITY, 0];
  const isMade = making.then(() => true);
  while (!(await Promise.race([isMade, sleep(5, false)]))) most = Math.max(most, (await children()).length);
  assert.equal(most, 1);
  const [first, second] = await making;
  assert.equal(first, second);
  for (let tries = 0; least > 0 && tries < 200; tries++) {
    least = (await children()).length;
    await sleep(10);
  }
  assert.equal(least, 0);
});
