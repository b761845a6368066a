import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { projectedEnd } from '../../src/jobs/lane-outlook.ts';
import { startRedis } from '../services/redis.ts';
import { openSite, request } from './site.ts';

const WAITING = 300;

test('a running job ends when the rest of it has gone as fast as what is done, once that is enough to tell', () => {
  assert.equal(projectedEnd(1000, 61_000, 25), 61_000 + 180_000);
  assert.equal(projectedEnd(1000, 61_000, 99) ?? 0, 61_000 + 60_000 / 99);
  assert.equal(projectedEnd(1000, 61_000, 0), null);
  assert.equal(projectedEnd(1000, 61_000, 4), null);
});

test('however many jobs wait, one costs what it costs, and a page reads their order once', async (context) => {
  const redis = await startRedis();
  const dataDirectory = await mkdtemp(join(tmpdir(), 'emp-outlook-'));
  const site = await openSite({ dataDirectory, redisUrl: redis.url }, false);
  const operator = new Redis(redis.url);
  context.after(async () => {
    operator.disconnect();
    await site.close();
    await redis.stop();
    await rm(dataDirectory, { recursive: true, force: true });
  });
  const callsOf = async (command: string) => {
    const pattern = new RegExp(`cmdstat_${command}:calls=(\\d+)`);
    return Number(pattern.exec(await operator.info('commandstats'))?.[1] ?? 0);
  };
  const count = async (ask: () => Promise<unknown>) => {
    const before = [await callsOf('hgetall'), await callsOf('zrange')];
    await ask();
    return { jobs: (await callsOf('hgetall')) - before[0], orders: (await callsOf('zrange')) - before[1] };
  };

  const ids: string[] = [];
  for (let i = 0; i < WAITING; i++) ids.push((await site.jobs.submit(request({}))).job.id);
  // Of those that came within a second only the number is looked at.
  await sleep(1100);
  const middle = ids[WAITING / 2] ?? '';
  const one = await count(async () => {
    const job = await site.jobs.get(middle);
    // No job has ended, and none runs.
    assert.deepEqual([job?.position, job?.eta], [WAITING / 2, null]);
  });
  assert.ok(one.jobs === 1 && one.orders <= 1, JSON.stringify(one));
  const page = await count(async () => {
    const { data } = await site.jobs.list(100);
    assert.deepEqual(
      data.map(({ position }) => position).sort((a, b) => Number(a) - Number(b)),
      Array.from({ length: 100 }, (_, i) => WAITING - 100 + i),
    );
  });
  assert.ok(page.jobs === 100 && page.orders <= 2, JSON.stringify(page));
});
