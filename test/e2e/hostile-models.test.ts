import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createNpyOf } from '../formats/npy-bytes.ts';
import { untilComputed, untilGone } from '../jobs/processes.ts';
import { startRedis } from '../services/redis.ts';
import type { Service } from '../services/service.ts';
import { ServiceProcess } from './service-process.ts';

const ROWS = 8;
const COLUMNS = 16;
const WITHIN_MS = 60_000;
/** More than what stands between the begin of the work and the model's loop. */
const INTO_LOOP_CPU_MS = 500;

interface JobView {
  id: string;
  status: string;
  progress: { stage: string };
  finished_at: string | null;
  error: { code: string; detail: string } | null;
}

/** A model and data of its shape, as one request. */
async function formOf(model: string): Promise<FormData> {
  const form = new FormData();
  const values = Float32Array.from({ length: ROWS * COLUMNS }, (_, i) => Math.sin(i));
  const labels = BigInt64Array.from({ length: ROWS }, (_, i) => BigInt(i));
  const bytes = await readFile(new URL(`../models/hostile/${model}`, import.meta.url));
  form.append('model', new Blob([bytes]), model);
  form.append('evaluation', new Blob([createNpyOf('<f4', values, [ROWS, COLUMNS])]), 'x.npy');
  form.append('evaluation_labels', new Blob([createNpyOf('<i8', labels, [ROWS])]), 'labels.npy');
  return form;
}

async function call(url: string, init?: RequestInit): Promise<JobView> {
  const response = await fetch(url, init);
  assert.ok(response.ok, `${url}: ${response.status} ${await response.clone().text()}`);
  return (await response.json()) as JobView;
}

const submit = async (url: string, model: string) =>
  call(`${url}/v1/jobs`, { method: 'POST', body: await formOf(model) });

async function until(url: string, id: string, holds: (job: JobView) => boolean): Promise<JobView> {
  const deadline = Date.now() + WITHIN_MS;
  for (;;) {
    const job = await call(`${url}/v1/jobs/${id}`);
    if (holds(job)) return job;
    assert.ok(Date.now() < deadline, JSON.stringify(job));
    await sleep(20);
  }
}

const hasBegun = ({ progress }: JobView) => progress.stage !== 'queued';
const isOver = ({ finished_at }: JobView) => finished_at !== null;

/** Waits until a job's model is in its loop, where its child hears nothing. */
async function untilLooping(service: ServiceProcess, id: string): Promise<void> {
  await until(service.url, id, hasBegun);
  const pids: number[] = [];
  for (const pid of await service.children())
    if ((await readFile(`/proc/${pid}/cmdline`, 'utf8')).includes(id)) pids.push(pid);
  assert.equal(pids.length, 1, 'one child computes the job');
  await untilComputed(pids[0] ?? 0, INTO_LOOP_CPU_MS);
}

describe('models that would stop the service', () => {
  let directory: string;
  let redis: Service;
  let service: ServiceProcess;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'emp-hostile-'));
    redis = await startRedis();
    service = await start('data', 0);
  });
  after(async () => {
    await service?.stop('SIGKILL');
    await redis?.stop();
    await rm(directory, { recursive: true, maxRetries: 5 });
  });
  const start = (name: string, database: number) =>
    ServiceProcess.start('all', {
      PORT: '0',
      DATA_DIR: join(directory, name),
      REDIS_URL: `${redis.url}/${database}`,
      JOB_MEMORY_MIB: '1024',
    });

  test('one that loops for ever is canceled within two seconds, and the next job runs', async () => {
    const { id } = await submit(service.url, 'loop-forever.onnx');
    await untilLooping(service, id);
    const asked = performance.now();
    const canceled = await call(`${service.url}/v1/jobs/${id}/cancel`, { method: 'POST' });
    assert.equal(canceled.status, 'canceled');
    assert.ok(performance.now() - asked < 2000, `${performance.now() - asked} ms`);
    const next = await submit(service.url, 'alloc-5g.onnx');
    assert.ok(await until(service.url, next.id, isOver));
  });

  for (const model of ['alloc-5g.onnx', 'loop-double.onnx']) {
    test(`${model} is refused its memory`, async () => {
      const { id } = await submit(service.url, model);
      const job = await until(service.url, id, isOver);
      assert.equal(job.status, 'failed');
      assert.equal(job.error?.code, 'limit_exceeded');
      assert.match(job.error.detail, /more than the 1024 MiB of memory .* raise JOB_MEMORY_MIB/);
    });
  }

  for (const [i, signal] of (['SIGTERM', 'SIGKILL'] as const).entries()) {
    test(`no child is left of a service that ended by ${signal} while one looped`, async () => {
      const other = await start(signal, 1 + i);
      const { id } = await submit(other.url, 'loop-forever.onnx');
      await untilLooping(other, id);
      const children = await other.children();
      assert.ok(children.length >= 2, 'one that reads and one that computes');
      await other.stop(signal);
      await Promise.all(children.map((pid) => untilGone(pid)));
    });
  }
});
