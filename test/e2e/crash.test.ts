import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { openAsBlob } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type SmallTensor, writeSmallModel } from '../models/small-safetensors.ts';
import { startRedis } from '../services/redis.ts';
import type { Service } from '../services/service.ts';
import { ServiceProcesses } from './service-process.ts';

interface JobView {
  id: string;
  status: string;
  progress: { stage: string; percent: number };
  artifacts: { name: string; sha256: string; url: string }[];
  model_id: string;
  created_at: string;
  error: unknown;
}

type Written = Pick<JobView['artifacts'][number], 'name' | 'sha256'>;

/** Large enough that a job takes seconds and can be caught in the middle. */
const SIDE = 1000;
const LAYERS = 4;
/** A lock's time, and what it takes to notice that nobody renews it. */
const TAKEN_UP_WITHIN_MS = 60_000;

function layer(i: number): SmallTensor {
  let state = i + 1;
  const values = Array.from({ length: SIDE * SIDE }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32 - 0.5) ** 3;
  });
  return { name: `layers.${i}.weight`, dtype: 'float32', shape: [SIDE, SIDE], values };
}

async function call<T>(url: string, init?: RequestInit): Promise<T> {
  const response = await fetch(url, init);
  assert.ok(response.ok, `${url}: ${response.status} ${await response.clone().text()}`);
  return (await response.json()) as T;
}

async function submit(url: string, path: string): Promise<JobView> {
  const form = new FormData();
  form.append('file', await openAsBlob(path), 'model.safetensors');
  const model = await call<{ id: string }>(`${url}/v1/models`, { method: 'POST', body: form });
  const body = JSON.stringify({ model_id: model.id, recipe: { scope: 'layer' } });
  const headers = { 'content-type': 'application/json' };
  return call<JobView>(`${url}/v1/jobs`, { method: 'POST', headers, body });
}

async function until(url: string, id: string, holds: (job: JobView) => boolean): Promise<JobView> {
  const deadline = Date.now() + TAKEN_UP_WITHIN_MS;
  for (;;) {
    const job = await call<JobView>(`${url}/v1/jobs/${id}`);
    if (holds(job)) return job;
    assert.ok(Date.now() < deadline && job.status !== 'failed', JSON.stringify(job));
    await sleep(20);
  }
}

const inTheMiddle = (job: JobView) => job.status === 'running' && job.progress.percent > 10;
const finished = (job: JobView) => job.status === 'succeeded';

describe('kill -9 in the middle of a job', () => {
  let model: Awaited<ReturnType<typeof writeSmallModel>>;
  let redis: Service;
  let undisturbed: Written[];
  const processes = new ServiceProcesses();
  const start = (...args: Parameters<ServiceProcesses['start']>) => processes.start(...args);
  const dataDirectory = () => processes.dataDirectory();

  before(async () => {
    model = await writeSmallModel(Array.from({ length: LAYERS }, (_, i) => layer(i)));
    redis = await startRedis();
    const service = await start('all', { DATA_DIR: await dataDirectory(), REDIS_URL: `${redis.url}/1` });
    const job = await submit(service.url, model.path);
    undisturbed = await written(service.url, await until(service.url, job.id, finished));
    await service.stop('SIGTERM');
  });

  after(async () => {
    await processes[Symbol.asyncDispose]();
    await redis?.stop();
    await model?.[Symbol.asyncDispose]();
  });

  /** Names and hashes, of reports without what a job alone has: its id, its model's, and when it was asked for. */
  async function written(url: string, { id, model_id, created_at, artifacts }: JobView): Promise<Written[]> {
    const own = [id, model_id].map((name) => name.slice(name.indexOf('_') + 1));
    return await Promise.all(
      artifacts.map(async ({ name, sha256, url: path }) => {
        if (!name.startsWith('report.')) return { name, sha256 };
        const text = await (await fetch(`${url}${path}`)).text();
        for (const part of [...own, created_at]) assert.ok(text.includes(part), `${name} says ${part}`);
        const same = [...own, created_at].reduce((left, part) => left.replaceAll(part, ''), text);
        return { name, sha256: createHash('sha256').update(same).digest('hex') };
      }),
    );
  }

  test('of a worker, of its child, and of the API', async () => {
    const environment = { DATA_DIR: await dataDirectory(), REDIS_URL: redis.url };
    const api = await start('api', environment);
    const worker = await start('worker', environment);

    const killedChild = await submit(api.url, model.path);
    await until(api.url, killedChild.id, inTheMiddle);
    const children = await worker.children();
    assert.ok(children.length > 0, 'the worker computes in a child process');
    for (const pid of children) process.kill(pid, 'SIGKILL');
    assert.deepEqual(await written(api.url, await until(api.url, killedChild.id, finished)), undisturbed);

    const killedWorker = await submit(api.url, model.path);
    await until(api.url, killedWorker.id, inTheMiddle);
    await worker.stop('SIGKILL');
    await start('worker', environment);
    assert.deepEqual(await written(api.url, await until(api.url, killedWorker.id, finished)), undisturbed);

    const killedApi = await submit(api.url, model.path);
    await until(api.url, killedApi.id, inTheMiddle);
    await api.stop('SIGKILL');
    const next = await start('api', environment);
    assert.deepEqual(await written(next.url, await until(next.url, killedApi.id, finished)), undisturbed);
  });

  test('of the single-process service', async () => {
    const environment = { DATA_DIR: await dataDirectory() };
    const service = await start('all', environment);
    const job = await submit(service.url, model.path);
    await until(service.url, job.id, inTheMiddle);
    await service.stop('SIGKILL');
    const next = await start('all', environment);
    assert.deepEqual(await written(next.url, await until(next.url, job.id, finished)), undisturbed);
  });
});
