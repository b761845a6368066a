import assert from 'node:assert/strict';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRedis } from '../services/redis.ts';
import { LIMITS, log, openSite, readTrace, request, startTestWorker } from './site.ts';

/** Of all attempts that a job is given, with their pauses, and more. */
const ATTEMPTS_MS = 2500;
const LONG_MS = 60_000;

test('jobs wait while their data directory is moved away, and are computed, once, when it is back', async (context) => {
  const directory = await mkdtemp(join(tmpdir(), 'emp-moved-'));
  const redis = await startRedis();
  const [place, away] = [join(directory, 'data'), join(directory, 'away')];
  const site = await openSite({ redisUrl: redis.url, dataDirectory: place }, false);
  context.after(async () => {
    await site.close();
    await redis.stop();
    await rm(directory, { recursive: true });
  });
  const ids: string[] = [];
  for (const lane of ['short', 'long'] as const) {
    const { job } = await site.jobs.submit({ ...request({ trace: join(directory, lane) }), lane });
    ids.push(job.id);
  }
  await rename(place, away);
  const worker = await startTestWorker(site.store, site.backend, log, { ...LIMITS, timeMs: LONG_MS });
  try {
    await sleep(ATTEMPTS_MS);
    await rename(away, place);
    for (const id of ids) assert.equal((await site.jobs.wait(id, LONG_MS))?.status, 'succeeded');
  } finally {
    await worker.close();
  }
  for (const lane of ['short', 'long']) assert.equal((await readTrace(join(directory, lane))).length, 1);
});
