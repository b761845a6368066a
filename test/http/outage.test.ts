import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { cannotMount, mountDisk } from '../services/small-disk.ts';
import { fileOf, readJson, readProblem } from './test-app.ts';
import { openTestService, type TestService } from './test-service.ts';

function formOf(part: string): FormData {
  const form = new FormData();
  form.append(part, fileOf(createSafetensors({ 'fc.weight': [4, 8] })), `${part}.safetensors`);
  return form;
}

describe('while the queue is away', () => {
  let service: TestService;
  let queued: { id: string; model_id: string };
  const send = (method: string, path: string, body?: FormData) =>
    fetch(service.url + path, { method, ...(body && { body }) });
  before(async () => {
    service = await openTestService();
    queued = await readJson(await send('POST', '/v1/jobs', formOf('model')));
    await service.redis.stop();
  });
  after(() => service.close());

  test('a job with its model is refused, and nothing of it stays', async () => {
    const files = await service.files();
    const form = formOf('model');
    form.append('model', fileOf(Buffer.from('{}')), 'other.json');
    const response = await send('POST', '/v1/jobs', form);
    assert.deepEqual([response.status, (await readProblem(response)).code], [503, 'not_ready']);
    assert.equal(response.headers.get('retry-after'), '5');
    assert.deepEqual(await service.files(), files);
  });

  test('what changes the queue is not ready, and says when to come again', async () => {
    for (const [method, path] of [
      ['POST', `/v1/jobs/${queued.id}/cancel`],
      ['GET', '/readyz'],
    ] as const) {
      const response = await send(method, path);
      assert.deepEqual([path, response.status, (await readProblem(response)).code], [path, 503, 'not_ready']);
      assert.equal(response.headers.get('retry-after'), '5');
    }
  });

  test('jobs are told by their records', async () => {
    const { data } = await readJson(await send('GET', '/v1/jobs'));
    const job = await readJson(await send('GET', `/v1/jobs/${queued.id}`));
    assert.deepEqual(data, [job]);
    assert.deepEqual(
      [job.id, job.status, job.progress],
      [queued.id, 'queued', { stage: 'queued', percent: 0 }],
    );
  });

  test('models are kept and deleted as ever', async () => {
    const model = await readJson(await send('POST', '/v1/models', formOf('file')));
    assert.equal((await send('DELETE', `/v1/models/${model.id}`)).status, 204);
    assert.equal((await send('DELETE', `/v1/models/${queued.model_id}`)).status, 409);
  });

  test('structures are found, and found again', async () => {
    const content = await readFile(new URL('../../examples/fc2-mnist.onnx', import.meta.url));
    const form = new FormData();
    form.append('file', fileOf(content), 'fc2-mnist.onnx');
    const { id } = await readJson(await send('POST', '/v1/models', form));
    for (let i = 0; i < 2; i++) assert.equal((await send('GET', `/v1/models/${id}/structures`)).status, 200);
  });

  test('metrics tell of everything else', async () => {
    const response = await send('GET', '/metrics');
    const metrics = await response.text();
    assert.equal(response.status, 200);
    assert.match(metrics, /^process_cpu_seconds_total /m);
    assert.doesNotMatch(metrics, /^emp_queue_/m);
  });
});

describe('the service is ready while, and only while,', () => {
  const readiness = async ({ url }: TestService) => {
    const response = await fetch(`${url}/readyz`);
    if (response.status === 200) return [];
    assert.deepEqual([response.status, response.headers.get('retry-after')], [503, '5']);
    const { code, errors } = await readProblem(response);
    assert.equal(code, 'not_ready');
    return errors.map(({ path }) => path);
  };

  test('the disk takes writes, and has room for results', { skip: cannotMount }, async () => {
    const disk = mountDisk(48);
    const service = await openTestService({ disk: disk.path });
    try {
      assert.deepEqual(await readiness(service), []);
      await disk.fill();
      assert.deepEqual(await readiness(service), ['storage']);
      await disk.free();
      assert.deepEqual(await readiness(service), []);
      await writeFile(join(disk.path, 'filler'), Buffer.alloc(20 * 2 ** 20));
      assert.deepEqual(await readiness(service), ['storage']);
    } finally {
      await service.close();
      await rm(join(disk.path, 'filler'), { force: true });
      disk.unmount();
    }
  });

  test('the queue takes writes', async () => {
    const service = await openTestService();
    const operator = new Redis(service.redis.url);
    try {
      assert.deepEqual(await readiness(service), []);
      await operator.config('SET', 'maxmemory', '1');
      assert.deepEqual(await readiness(service), ['queue']);
      await operator.config('SET', 'maxmemory', '0');
      assert.deepEqual(await readiness(service), []);
      service.redis.freeze();
      assert.deepEqual(await readiness(service), ['queue']);
      service.redis.thaw();
      assert.deepEqual(await readiness(service), []);
    } finally {
      operator.disconnect();
      service.redis.thaw();
      await service.close();
    }
  });
});

test('a queue that fails faster than the storage answers makes the service unready, and no more', async () => {
  const service = await openTestService();
  try {
    await service.redis.stop();
    service.store.ping = () => sleep(1500);
    const response = await fetch(`${service.url}/readyz`);
    assert.equal(response.status, 503);
    assert.deepEqual(
      (await readProblem(response)).errors.map(({ path }) => path),
      ['queue'],
    );
  } finally {
    await service.close();
  }
});

test('closing waits for an upload, but not for ever', { timeout: 10_000 }, async () => {
  const service = await openTestService({ closeGraceMs: 200 });
  const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(
    'POST /v1/models HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 500000\r\n\r\n' +
      '--x\r\nContent-Disposition: form-data; name="file"; filename="model.onnx"\r\n\r\nonly so much',
  );
  while ((await service.files()).length === 0) await sleep(5);
  const start = performance.now();
  await service.app.close();
  const ms = performance.now() - start;
  assert.ok(ms > 150 && ms < 3000, `${ms} ms`);
  await service.close();
});
