import assert from 'node:assert/strict';
import { openAsBlob } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import packageJson from '../../package.json' with { type: 'json' };
import { createEndlessForm } from '../../scripts/chaos/workload.ts';
import { STAGES } from '../../src/pipeline/progress.ts';
import { rawRequest } from '../http/raw-request.ts';
import { readJson } from '../http/test-app.ts';
import { freePort } from '../services/free-port.ts';
import { startRedis } from '../services/redis.ts';
import type { Service } from '../services/service.ts';
import { type Metric, parseMetrics } from './prometheus-text.ts';
import { type ServiceProcess, ServiceProcesses } from './service-process.ts';

const MODEL = new URL('../../examples/fc2-mnist.onnx', import.meta.url);

describe('what Prometheus reads', () => {
  const processes = new ServiceProcesses();
  let redis: Service;
  let dataDirectory: string;
  let api: ServiceProcess;
  let worker: ServiceProcess;
  let metricsUrl: string;

  before(async () => {
    redis = await startRedis();
    dataDirectory = await processes.dataDirectory();
    const settings = { DATA_DIR: dataDirectory, REDIS_URL: redis.url };
    const port = await freePort();
    metricsUrl = `http://127.0.0.1:${port}/metrics`;
    [api, worker] = await Promise.all([
      processes.start('api', settings),
      processes.start('worker', { ...settings, METRICS_PORT: String(port) }),
    ]);
  });
  after(async () => {
    await processes[Symbol.asyncDispose]();
    await redis.stop();
  });

  const scrape = async (url = `${api.url}/metrics`): Promise<Map<string, Metric>> => {
    const response = await fetch(url);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    return parseMetrics(await response.text());
  };
  const seriesOf = (metrics: Map<string, Metric>, name: string, labels = '') =>
    metrics.get(name)?.series.get(`${name}{${labels}}`);

  async function submit(form: FormData): Promise<string> {
    const response = await fetch(`${api.url}/v1/jobs`, { method: 'POST', body: form });
    assert.equal(response.status, 202, await response.clone().text());
    return ((await response.json()) as { id: string }).id;
  }

  async function prunable(): Promise<FormData> {
    const form = new FormData();
    form.append('model', await openAsBlob(MODEL), 'fc2-mnist.onnx');
    return form;
  }

  /** Waits until a scrape is as it should be: a worker hears of an end after its client. */
  async function until(url: string, holds: (metrics: Map<string, Metric>) => boolean) {
    const deadline = Date.now() + 60_000;
    for (;;) {
      const metrics = await scrape(url);
      if (holds(metrics)) return metrics;
      assert.ok(Date.now() < deadline, JSON.stringify([...(metrics.get('emp_jobs_total')?.series ?? [])]));
      await sleep(50);
    }
  }
  const succeeded = (metrics: Map<string, Metric>) =>
    seriesOf(metrics, 'emp_jobs_total', 'status="succeeded"') === 1;

  test('has the bytes stored', async () => {
    assert.equal(seriesOf(await scrape(), 'emp_storage_used_bytes'), 0);
    const form = new FormData();
    form.append('file', await openAsBlob(MODEL), 'fc2-mnist.onnx');
    assert.equal((await fetch(`${api.url}/v1/models`, { method: 'POST', body: form })).status, 201);
    assert.equal(seriesOf(await scrape(), 'emp_storage_used_bytes'), (await stat(MODEL)).size);
  });

  test('has names by convention, in base units', async () => {
    for (const url of [undefined, metricsUrl]) {
      const metrics = await scrape(url);
      for (const name of metrics.keys()) {
        assert.match(name, /^(emp|process|nodejs)_[a-z0-9_]+$/);
        assert.doesNotMatch(name, /_(ms|milliseconds|minutes|kilobytes|kb|mb|mib|percent)(_|$)/);
      }
      assert.ok(metrics.has('nodejs_eventloop_lag_p99_seconds'));
      const build = `version="${packageJson.version}",node="${process.versions.node}"`;
      assert.equal(seriesOf(metrics, 'emp_build_info', build), 1);
      const free = seriesOf(metrics, 'emp_storage_free_bytes');
      assert.ok(free !== undefined && free > 2 ** 20, `${free} bytes free`);
    }
  });

  test('a worker counts the jobs that end by it, and what their stages took', async () => {
    const id = await submit(await prunable());
    const metrics = await until(metricsUrl, succeeded);
    const { timings_ms } = await readJson(await fetch(`${api.url}/v1/jobs/${id}/report`));
    const counted = [...STAGES, 'other'].filter((stage) => countOf(metrics, stage) === 1);
    assert.deepEqual(counted.sort(), Object.keys(timings_ms).sort());
    const held = seriesOf(metrics, 'emp_child_resident_bytes', 'program="job-child"') ?? 0;
    const [child] = await worker.children();
    const resident =
      Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${child}/status`, 'utf8'))?.[1]) * 1024;
    assert.ok(held > resident / 2 && held < resident * 2, `${held} and ${resident} bytes`);
    assert.equal(seriesOf(metrics, 'emp_children', 'program="job-child"'), 1);
    assert.equal(seriesOf(await scrape(), 'emp_jobs_total', 'status="succeeded"'), 0);
  });

  test('the API tells of the queue, counts what it cancels there, and names routes by their templates', async () => {
    const running = await submit(createEndlessForm());
    await sleep(100);
    const before = Date.now();
    const waiting = await submit(createEndlessForm());
    await sleep(1500);
    const queued = await until(
      `${api.url}/metrics`,
      (metrics) => seriesOf(metrics, 'emp_queue_jobs', 'lane="long",state="running"') === 1,
    );
    const age = seriesOf(queued, 'emp_queue_oldest_waiting_seconds', 'lane="long"') ?? 0;
    assert.ok(age > 1 && age <= (Date.now() - before) / 1000, `${age} seconds`);
    assert.equal(seriesOf(queued, 'emp_queue_jobs', 'lane="long",state="queued"'), 1);
    assert.equal(seriesOf(queued, 'emp_queue_oldest_waiting_seconds', 'lane="short"'), 0);
    for (const id of [waiting, running]) {
      await fetch(`${api.url}/v1/jobs/${id}`);
      await fetch(`${api.url}/v1/jobs/${id}/cancel`, { method: 'POST' });
    }
    await fetch(`${api.url}/nowhere/${running}`);
    const metrics = await scrape();
    assert.equal(seriesOf(metrics, 'emp_jobs_total', 'status="canceled"'), 1);
    await until(metricsUrl, (told) => seriesOf(told, 'emp_jobs_total', 'status="canceled"') === 1);
    const series = [...(metrics.get('emp_http_request_duration_seconds')?.series.keys() ?? [])];
    assert.ok(series.some((one) => one.includes('route="/v1/jobs/:id"')));
    assert.ok(series.some((one) => one.includes('route="none",status="404"')));
    assert.ok(!series.some((one) => one.includes(running) || one.includes('nowhere')));
  });

  test('a port of metrics serves nothing else, and no page of another name', async () => {
    assert.equal((await fetch(metricsUrl.replace('/metrics', '/v1/jobs'))).status, 404);
    assert.equal((await fetch(metricsUrl, { method: 'POST' })).status, 405);
    const foreign = 'GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n';
    assert.equal((await rawRequest(metricsUrl, foreign)).status, 421);
  });

  function countOf(metrics: Map<string, Metric>, stage: string): number | undefined {
    return metrics
      .get('emp_job_duration_seconds')
      ?.series.get(`emp_job_duration_seconds_count{stage="${stage}"}`);
  }
});
