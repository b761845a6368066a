import assert from 'node:assert/strict';
import { openAsBlob } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readJson } from '../http/test-app.ts';
import { startRedis } from '../services/redis.ts';
import type { Service } from '../services/service.ts';
import { type ReceivedSpan, startReceiver } from './otlp-receiver.ts';
import { ServiceProcesses } from './service-process.ts';

const MODEL = new URL('../../examples/fc2-mnist.onnx', import.meta.url);
/** What makes and sends traces. The interface `@opentelemetry/api`, which does nothing by itself, is loaded by prom-client. */
const OF_TRACES = /\/node_modules\/(@opentelemetry\/(?!api\/)|bullmq-otel|@fastify\/otel)|\/otlp-tracing\.ts/;

async function prune(url: string, headers: Record<string, string> = {}): Promise<string> {
  const form = new FormData();
  form.append('model', await openAsBlob(MODEL), 'fc2-mnist.onnx');
  const init = { method: 'POST', body: form, headers: { prefer: 'wait=60', ...headers } };
  const job = (await (await fetch(`${url}/v1/jobs`, init)).json()) as { id: string; status: string };
  assert.equal(job.status, 'succeeded');
  return job.id;
}

describe('traces', () => {
  const processes = new ServiceProcesses();
  let redis: Service;
  let receiver: Awaited<ReturnType<typeof startReceiver>>;
  before(async () => {
    redis = await startRedis();
    receiver = await startReceiver();
  });
  after(async () => {
    await processes[Symbol.asyncDispose]();
    await redis.stop();
    await receiver.stop();
  });

  test('go from the request over queue and worker to the stages of its job, in the trace of the caller', async () => {
    const settings = {
      DATA_DIR: await processes.dataDirectory(),
      REDIS_URL: redis.url,
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    };
    const [api, worker] = await Promise.all([
      processes.start('api', settings),
      processes.start('worker', settings),
    ]);
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const caller = '00f067aa0ba902b7';
    const id = await prune(api.url, {
      traceparent: `00-${traceId}-${caller}-01`,
      'x-request-id': 'trace-test',
    });
    const report = await readJson(await fetch(`${api.url}/v1/jobs/${id}/report`));
    // What BullMQ does by itself, every few seconds, is nobody's.
    await sleep(7000);
    // What has not been sent is sent as they end.
    await Promise.all([worker.stop('SIGTERM'), api.stop('SIGTERM')]);

    const spans = receiver.spans.filter((span) => span.traceId === traceId);
    const named = (name: string): ReceivedSpan =>
      spans.find((span) => span.name === name) ?? assert.fail(`${name} of ${spans.map((span) => span.name)}`);
    const request = named('POST /v1/jobs');
    assert.equal(request.parentSpanId, caller);
    assert.equal(request.attributes['emp.request_id'], 'trace-test');
    const chain = ['POST /v1/jobs', 'addBulk emp-short-jobs', 'process emp-short-jobs', 'attempt'];
    for (const [i, name] of chain.slice(1).entries())
      assert.equal(named(name).parentSpanId, named(chain[i] ?? '').spanId, name);
    assert.deepEqual(
      chain.map((name) => named(name).role),
      ['api', 'api', 'worker', 'worker'],
    );
    const attempt = named('attempt');
    assert.equal(attempt.attributes['emp.job'], id);
    assert.equal(attempt.attributes['emp.request_id'], 'trace-test');
    const stages = spans.filter(({ name }) => name.startsWith('stage '));
    assert.deepEqual(
      stages.map(({ attributes }) => attributes['emp.stage']).sort(),
      Object.keys(report.timings_ms).sort(),
    );
    for (const stage of stages) {
      assert.equal(stage.parentSpanId, attempt.spanId);
      assert.ok(stage.durationNs >= 0n && stage.durationNs <= attempt.durationNs);
    }
    const others = receiver.spans.filter((span) => span.traceId !== traceId).map(({ name }) => name);
    assert.deepEqual([...new Set(others)], ['GET /v1/jobs/:id/report']);
  });

  test('that nobody takes hold up neither requests, jobs nor the end of the service', async () => {
    const service = await processes.start('all', {
      DATA_DIR: await processes.dataDirectory(),
      REDIS_URL: `${redis.url}/1`,
      // Nothing listens there.
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
    });
    await prune(service.url);
    const began = performance.now();
    await service.stop('SIGTERM');
    assert.ok(performance.now() - began < 10_000);
  });

  test('cost nothing where no collector is named: what makes them is not loaded, in no process', async () => {
    const modulesOf = async (settings: Record<string, string>) => {
      const directory = await processes.dataDirectory();
      const list = join(directory, 'modules');
      const service = await processes.start('all', {
        DATA_DIR: join(directory, 'data'),
        NODE_OPTIONS: `--import=${new URL('./module-names.mjs', import.meta.url)}`,
        // A name that children are given too.
        MALLOC_TEST_MODULES: list,
        ...settings,
      });
      await prune(service.url);
      await service.stop('SIGTERM');
      const lines = (await readFile(list, 'utf8')).trim().split('\n');
      const pids = new Set(lines.map((line) => line.split(' ')[0]));
      return { pids, found: lines.filter((line) => OF_TRACES.test(line)) };
    };
    const off = await modulesOf({ REDIS_URL: `${redis.url}/2` });
    assert.ok(off.pids.size > 1, 'no child was looked at');
    assert.deepEqual(off.found, []);
    const on = await modulesOf({
      REDIS_URL: `${redis.url}/3`,
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    });
    assert.ok(on.found.length > 10, 'the test does not see them');
    // The process that answers has them, no child does.
    assert.equal(new Set(on.found.map((line) => line.split(' ')[0])).size, 1);
  });
});
