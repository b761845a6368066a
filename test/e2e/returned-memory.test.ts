import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { zstdCompressSync } from 'node:zlib';
import { startRedis } from '../services/redis.ts';
import { ServiceProcess } from './service-process.ts';

const MEBIBYTE = 2 ** 20;

test('memory is given back after a burst of bodies that unfold to hundreds of megabytes', async (context) => {
  const redis = await startRedis();
  const directory = await mkdtemp(join(tmpdir(), 'emp-memory-'));
  const service = await ServiceProcess.start('api', { DATA_DIR: directory, REDIS_URL: redis.url });
  context.after(async () => {
    await service.stop('SIGKILL');
    await redis.stop();
    await rm(directory, { recursive: true });
  });
  const send = (body: Uint8Array<ArrayBuffer>) =>
    fetch(`${service.url}/v1/thresholds`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/octet-stream', 'content-encoding': 'zstd' },
    });
  const unfoldingTo = (mebibytes: number) =>
    new Uint8Array(zstdCompressSync(Buffer.alloc(mebibytes * MEBIBYTE, new Uint8Array([0, 0, 128, 63]))));
  // What is loaded with the first is no burst's.
  assert.equal((await send(unfoldingTo(2))).status, 200);
  const before = await service.residentBytes();
  const large = unfoldingTo(256);
  const one = async () => {
    for (let i = 0; i < 4; i++) assert.equal((await send(large)).status, 200);
  };
  await Promise.all([one(), one()]);
  let held = Number.POSITIVE_INFINITY;
  for (const end = Date.now() + 15_000; held > 100 * MEBIBYTE && Date.now() < end; await sleep(200))
    held = (await service.residentBytes()) - before;
  assert.ok(held <= 100 * MEBIBYTE, `${held} bytes are held`);
});
