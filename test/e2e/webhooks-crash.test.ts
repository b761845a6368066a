import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { fileOf } from '../http/test-app.ts';
import { startRedis } from '../services/redis.ts';
import type { Service } from '../services/service.ts';
import { type Received, startReceiver, verified } from '../webhooks/webhook-receiver.ts';
import { ServiceProcesses } from './service-process.ts';

const ONNX = await readFile(new URL('../../examples/fc2-mnist.onnx', import.meta.url));
/** A pause between attempts, what it takes to notice that a worker is gone, and the look for what was lost. */
const WITHIN_MS = 60_000;

describe('kill -9 of API and worker between the end of a job and its webhook', () => {
  let redis: Service;
  let environment: Record<string, string>;
  const processes = new ServiceProcesses();
  before(async () => {
    redis = await startRedis();
    environment = {
      DATA_DIR: await processes.dataDirectory(),
      REDIS_URL: redis.url,
      WEBHOOK_ALLOWED_HOSTS: '127.0.0.1',
    };
  });
  after(async () => {
    await processes[Symbol.asyncDispose]();
    await redis?.stop();
  });

  const start = async () => {
    const [api, worker] = await Promise.all([
      processes.start('api', environment),
      processes.start('worker', environment),
    ]);
    const kill = () => Promise.all([api.stop('SIGKILL'), worker.stop('SIGKILL')]);
    return { url: api.url, kill };
  };
  const call = async <T>(url: string, init?: RequestInit): Promise<T> => {
    const response = await fetch(url, init);
    assert.ok(response.ok, `${url}: ${response.status} ${await response.clone().text()}`);
    return (await response.json()) as T;
  };
  const submit = async (url: string, hook: string) => {
    const body = new FormData();
    body.append('model', fileOf(ONNX), 'fc2-mnist.onnx');
    body.append('webhook', JSON.stringify({ url: hook }));
    return (await call<{ id: string }>(`${url}/v1/jobs`, { method: 'POST', body })).id;
  };

  test('loses none, nor a queue that loses what it holds, and ids stay', async () => {
    await using receiver = await startReceiver();
    const of = (path: string) => receiver.received.filter((one) => one.path === path);
    const untilTaken = async (path: string, before: number): Promise<Received[]> => {
      const deadline = Date.now() + WITHIN_MS;
      while (of(path).length <= before) {
        assert.ok(Date.now() < deadline, `${path}: ${of(path).length} have come`);
        await turn();
      }
      return of(path);
    };

    let service = await start();
    const made = await call<{ secret: string }>(`${service.url}/v1/webhook-secrets`, { method: 'POST' });
    const jobs: Record<string, string> = {};

    // It has failed once, waits for its next time, and the queue forgets it.
    receiver.answer = (_, response) => response.writeHead(500).end();
    jobs['/failed'] = await submit(service.url, `${receiver.url}/failed`);
    await untilTaken('/failed', 0);
    await service.kill();
    const client = new Redis(redis.url);
    await client.flushall();
    client.disconnect();
    receiver.answer = (_, response) => response.writeHead(204).end();
    service = await start();
    await untilTaken('/failed', 1);

    // It is on its way.
    receiver.answer = () => {};
    jobs['/hung'] = await submit(service.url, `${receiver.url}/hung`);
    await untilTaken('/hung', 0);
    await service.kill();
    receiver.answer = (_, response) => response.writeHead(204).end();
    service = await start();
    await untilTaken('/hung', 1);

    // The job has ended, a moment ago.
    jobs['/ended'] = await submit(service.url, `${receiver.url}/ended`);
    const result = join(environment.DATA_DIR, 'jobs', jobs['/ended'], 'result.json');
    while (!existsSync(result)) await turn();
    await service.kill();
    service = await start();
    await untilTaken('/ended', 0);

    for (const [path, id] of Object.entries(jobs)) {
      const all = of(path);
      for (const one of all) assert.equal(verified(made.secret, one).data.id, id);
      assert.equal(new Set(all.map(({ headers }) => headers['webhook-id'])).size, 1, path);
      const { data } = await call<{ data: { id: string; status: string }[] }>(
        `${service.url}/v1/jobs/${id}/webhooks`,
      );
      assert.deepEqual(
        data.map((one) => one.id),
        [all[0].headers['webhook-id']],
      );
    }
  });
});
