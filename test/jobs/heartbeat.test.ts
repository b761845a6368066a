import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { parse } from 'yaml';
import { startHeartbeat } from '../../src/jobs/heartbeat.ts';
import { startRedis } from '../services/redis.ts';
import type { Service } from '../services/service.ts';
import { log, openSite, readTrace, request, tracePath } from './site.ts';

const ROOT = new URL('../../', import.meta.url);
const compose = parse(await readFile(new URL('docker-compose.yml', ROOT), 'utf8'), { merge: true });
const [, CHECK] = compose.services.worker.healthcheck.test;

let redis: Service;
let directory: string;
let path: string;
before(async () => {
  redis = await startRedis();
  directory = await mkdtemp(join(tmpdir(), 'emp-heartbeat-'));
  path = join(directory, 'heartbeat');
});
after(async () => {
  await redis.stop();
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
});

/** What Docker asks of a worker's container. */
function isHealthy(): boolean {
  const command = CHECK.replaceAll('$$', '$');
  return (
    spawnSync('/bin/sh', ['-c', command], { env: { ...process.env, HEARTBEAT_FILE: path } }).status === 0
  );
}

async function untilHealthy(): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!isHealthy()) {
    assert.ok(Date.now() < deadline, 'not healthy within 30 seconds');
    await sleep(100);
  }
}

/** Lets a minute pass for the file. */
async function age(): Promise<void> {
  const past = new Date(Date.now() - 60_000);
  await utimes(path, past, past);
}

/** Stops a process, and looks whether the heartbeat stops with it and goes on when it does. */
async function freeze(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  try {
    let isStale = false;
    // A beat may have been on its way.
    for (let round = 0; round < 3 && !isStale; round++) {
      await age();
      await sleep(3000);
      isStale = !isHealthy();
    }
    assert.ok(isStale, 'beats on');
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await untilHealthy();
}

async function redisPid(): Promise<number> {
  const client = new Redis(redis.url);
  const info = await client.info('server');
  client.disconnect();
  return Number(/^process_id:(\d+)/m.exec(info)?.[1]);
}

describe('heartbeat', { timeout: 120_000 }, () => {
  test('a worker is well until the queue or it itself is frozen, and again after that', async (t) => {
    const pid = await redisPid();
    const main = fileURLToPath(new URL('src/main.ts', ROOT));
    const env = {
      PATH: process.env.PATH ?? '',
      REDIS_URL: redis.url,
      DATA_DIR: directory,
      LOG_LEVEL: 'error',
    };
    const worker = spawn(process.execPath, [main, 'worker'], { env: { ...env, HEARTBEAT_FILE: path } });
    const ended = once(worker, 'exit');
    t.after(() => worker.kill('SIGKILL'));
    assert.equal(isHealthy(), false);
    await untilHealthy();
    await freeze(pid);
    await freeze(worker.pid ?? 0);
    worker.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null]);
    await age();
    assert.equal(isHealthy(), false);
  });

  test('a job that computes and never looks up leaves its worker well', async (t) => {
    const site = await openSite({ redisUrl: redis.url, dataDirectory: join(directory, 'data') });
    const heartbeat = await startHeartbeat({ path, backend: site.backend, log });
    t.after(async () => {
      heartbeat.close();
      await site.close();
    });
    const trace = tracePath(directory, 'block');
    const { job } = await site.jobs.submit(request({ behaviour: 'block', trace }));
    while ((await readTrace(trace)).length === 0) await sleep(20);
    await age();
    await untilHealthy();
    assert.equal((await site.jobs.get(job.id))?.status, 'running');
    await site.jobs.wait(job.id, 30_000);
  });

  test('a file that cannot be written is told at the start', async () => {
    const missing = join(directory, 'missing', 'heartbeat');
    const starting = startHeartbeat({ path: missing, backend: { ping: async () => {} }, log });
    await assert.rejects(starting, { code: 'ENOENT' });
  });
});
