import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createEndlessForm } from '../../scripts/chaos/workload.ts';
import { followJob } from '../http/follow-job.ts';
import { connectTo, parseResponse, rawRequest } from '../http/raw-request.ts';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { startRedis } from '../services/redis.ts';
import type { Service } from '../services/service.ts';
import { ServiceProcess } from './service-process.ts';

/** Of an API without a worker: its jobs wait. */
const LIMITS = {
  ALLOWED_HOSTS: 'prune.example',
  MAX_CONNECTIONS: '16',
  MAX_EVENT_STREAMS: '2',
  MAX_EVENT_STREAMS_PER_CLIENT: '1',
  MAX_JSON_BYTES: '1024',
  MAX_QUEUED_JOBS: '1',
  MAX_UPLOAD_BYTES: '10000',
  REQUEST_TIMEOUT_SECONDS: '2',
};
/** Of a service that computes. */
const WORK = { JOB_TIMEOUT_SECONDS: '2', WORKER_CONCURRENCY: '2', WORKER_THREADS: '3' };
const WITHIN_MS = 60_000;

interface JobView {
  id: string;
  status: string;
  started_at: string;
  finished_at: string | null;
  error: { code: string; detail: string } | null;
}

describe('what is set', () => {
  let redis: Service;
  let operator: Redis;
  let directory: string;
  let limited: ServiceProcess;
  let full: ServiceProcess;
  let working: ServiceProcess;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'emp-settings-'));
    redis = await startRedis();
    operator = new Redis(redis.url);
    const start = (role: 'all' | 'api', database: number, settings: Record<string, string>) =>
      ServiceProcess.start(role, {
        DATA_DIR: join(directory, String(database)),
        REDIS_URL: `${redis.url}/${database}`,
        ...settings,
      });
    [limited, full, working] = await Promise.all([
      start('api', 0, LIMITS),
      start('api', 1, { MIN_FREE_BYTES: String(Number.MAX_SAFE_INTEGER) }),
      start('all', 2, WORK),
    ]);
  });
  after(async () => {
    await Promise.all([limited, full, working].map((service) => service?.stop('SIGKILL')));
    operator?.disconnect();
    await redis?.stop();
    await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  });

  async function send(service: ServiceProcess, path: string, init?: RequestInit) {
    const response = await fetch(service.url + path, init);
    return { response, status: response.status, body: JSON.parse(await response.text()) };
  }

  function modelForm(part: string, tensor = [2, 2]): FormData {
    const form = new FormData();
    form.append(
      part,
      new Blob([new Uint8Array(createSafetensors({ 'fc.weight': tensor }))]),
      'm.safetensors',
    );
    return form;
  }

  const submit = (service: ServiceProcess, body = modelForm('model')) =>
    send(service, '/v1/jobs', { method: 'POST', body });

  async function until<T>(look: () => Promise<T>, holds: (seen: T) => boolean): Promise<T> {
    const deadline = Date.now() + WITHIN_MS;
    for (;;) {
      const seen = await look();
      if (holds(seen)) return seen;
      assert.ok(Date.now() < deadline, JSON.stringify(seen));
      await sleep(20);
    }
  }

  test('MAX_QUEUED_JOBS, MAX_EVENT_STREAMS, and what recovers a job that the queue has lost', async (t) => {
    const { body: job } = await submit(limited);
    await t.test('no second job may wait', async () => {
      const { response, status, body } = await submit(limited);
      assert.deepEqual([status, body.code], [503, 'queue_full']);
      assert.ok(response.headers.get('retry-after'));
      assert.match(body.detail, /^1 job is waiting/);
    });
    await t.test('no second stream of a client, and no third of all', async () => {
      const statuses: (number | undefined)[] = [];
      const streams = [];
      for (const address of ['127.0.0.1', '127.0.0.1', '127.0.0.2', '127.0.0.3']) {
        const stream = await followJob(limited.url, job.id, address);
        streams.push(stream);
        statuses.push(stream.status);
      }
      for (const { leave } of streams) leave();
      assert.deepEqual(statuses, [200, 503, 200, 503]);
    });
    await send(limited, `/v1/jobs/${job.id}/cancel`, { method: 'POST' });
    // Nobody asks for it from here on: that alone would bring it back.
    assert.equal((await submit(limited)).status, 202);
    assert.equal(await waiting(), 1);
    await operator.flushdb();
    assert.equal(await waiting(), 0);
  });

  test('MAX_JSON_BYTES', async () => {
    const headers = { 'content-type': 'application/json' };
    const sent = async (count: number) =>
      send(limited, '/v1/thresholds', {
        method: 'POST',
        headers,
        body: JSON.stringify({ scores: Array.from({ length: count }, () => 1) }),
      });
    assert.equal((await sent(400)).status, 200);
    assert.equal((await sent(600)).status, 413);
  });

  test('MAX_UPLOAD_BYTES', async () => {
    const upload = (body: FormData) => send(limited, '/v1/models', { method: 'POST', body });
    assert.equal((await upload(modelForm('file', [3, 3]))).status, 201);
    const { status, body } = await upload(modelForm('file', [100, 100]));
    assert.deepEqual([status, body.code], [413, 'payload_too_large']);
    assert.match(body.detail, /MAX_UPLOAD_BYTES/);
  });

  test('MIN_FREE_BYTES', async () => {
    const { status, body } = await send(full, '/v1/models', { method: 'POST', body: modelForm('file') });
    assert.deepEqual([status, body.code], [507, 'insufficient_storage']);
    assert.match(body.detail, /MIN_FREE_BYTES/);
  });

  test('ALLOWED_HOSTS', async () => {
    const ask = async (host: string) => {
      const request = `GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
      return (await rawRequest(limited.url, request)).status;
    };
    assert.deepEqual([await ask('prune.example'), await ask('other.example')], [200, 421]);
  });

  test('MAX_CONNECTIONS and REQUEST_TIMEOUT_SECONDS', async () => {
    const head = 'POST /v1/thresholds HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
    const sockets = await Promise.all(Array.from({ length: 24 }, () => connectTo(limited.url)));
    const answers = await Promise.all(
      sockets.map(async (socket) => {
        socket.write(`${head}Content-Length: 9\r\n\r\n{`);
        return parseResponse(await text(socket));
      }),
    );
    const [refused, late] = [503, 408].map((code) => answers.filter(({ status }) => status === code));
    assert.equal((refused?.length ?? 0) + (late?.length ?? 0), 24);
    // More where a connection of before was not gone yet.
    assert.ok(refused && refused.length >= 8, `${refused?.length} refused`);
    for (const { headers } of refused) assert.equal(headers.get('retry-after'), '5');
    assert.ok(late && late.length > 0);
    for (const { body } of late) assert.match(body, /after 2 s the body was not complete/);
  });

  test('JOB_TIMEOUT_SECONDS, WORKER_CONCURRENCY and WORKER_THREADS', async () => {
    const { body: whole } = await submit(working, createEndlessForm());
    const { model_id, evaluation_dataset_id } = whole;
    const again = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model_id, evaluation_dataset_id }),
    };
    const others = await Promise.all([1, 2].map(() => send(working, '/v1/jobs', again)));
    assert.equal(await until(threadsOfJob, (threads) => threads !== undefined), '3');
    const jobs: JobView[] = [];
    for (const { id } of [whole, ...others.map(({ body }) => body)]) {
      const look = async (): Promise<JobView> => (await send(working, `/v1/jobs/${id}`)).body;
      jobs.push(await until(look, ({ finished_at }) => finished_at !== null));
    }
    for (const { error } of jobs) {
      assert.equal(error?.code, 'limit_exceeded');
      assert.match(error.detail, /longer than the 2 seconds .* raise JOB_TIMEOUT_SECONDS/);
    }
    const inTurn = jobs.sort((a, b) => a.started_at.localeCompare(b.started_at));
    const overlap = ({ started_at }: JobView, i: number) => started_at < (inTurn[i - 1]?.finished_at ?? '');
    assert.ok(inTurn.some(overlap), 'one after the other');
  });

  test('a job that the queue has lost, and nobody asks for, comes back', async () => {
    assert.equal(await until(waiting, (count) => count > 0), 1);
  });

  /** Jobs that the queue of the API without a worker knows. */
  async function waiting(): Promise<number> {
    const metrics = await (await fetch(`${limited.url}/metrics`)).text();
    const counts = metrics.matchAll(/^emp_queue_jobs\{lane="\w+",state="queued"\} (\d+)$/gm);
    return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
  }

  /** What a child that computes a job is told; undefined while there is none. */
  async function threadsOfJob(): Promise<string | undefined> {
    for (const pid of await working.children()) {
      const [command = '', environment = ''] = await Promise.all(
        ['cmdline', 'environ'].map((name) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '')),
      );
      if (/job-child/.test(command)) return /\0EMP_CHILD_THREADS=(\d+)/.exec(environment)?.[1];
    }
    return undefined;
  }
});
