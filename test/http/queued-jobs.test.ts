import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { fileOf, readJson, readProblem } from './test-app.ts';
import { openTestService, type TestService } from './test-service.ts';

// Without a worker, jobs stay queued.
let service: TestService;
before(async () => {
  service = await openTestService();
});
after(() => service.close());

async function submit(headers: Record<string, string> = {}) {
  const form = new FormData();
  form.append('model', fileOf(createSafetensors({ 'fc.weight': [4, 8] })), 'm.safetensors');
  form.append('scores', fileOf(createSafetensors({ 'fc.weight': [4, 8] })), 's.safetensors');
  form.append('recipe', '{"criterion": "scores"}');
  const response = await fetch(`${service.url}/v1/jobs`, { method: 'POST', body: form, headers });
  assert.equal(response.status, 202);
  return readJson(response);
}
const send = (method: string, path: string) => fetch(service.url + path, { method });

test('Prefer: wait answers with the queued job when the time is over', async () => {
  const start = performance.now();
  const job = await submit({ prefer: 'respond-async, wait=1' });
  assert.equal(job.status, 'queued');
  const ms = performance.now() - start;
  assert.ok(ms > 900 && ms < 3000, `${ms} ms`);
  assert.equal((await send('POST', `/v1/jobs/${job.id}/cancel`)).status, 200);
});

test('a job names its turn; a priority is checked, comes as a part too, and is part of the request', async () => {
  const form = (priority: string) => {
    const parts = new FormData();
    parts.append('model', fileOf(createSafetensors({ 'fc.weight': [4, 8] })), 'm.safetensors');
    parts.append('priority', priority);
    return parts;
  };
  const post = (priority: string, headers = {}) =>
    fetch(`${service.url}/v1/jobs`, { method: 'POST', body: form(priority), headers });
  const key = { 'idempotency-key': 'a turn' };
  const usual = await submit();
  assert.deepEqual([usual.priority, usual.lane, usual.position, usual.eta], [4, 'short', 0, null]);
  const urgent = await readJson(await post('9', key));
  assert.deepEqual([urgent.priority, urgent.position], [9, 0]);
  assert.equal((await readProblem(await post('8', key))).code, 'idempotency_key_reused');
  for (const priority of ['10', '-1', '1.5', '"9"']) {
    const { code, errors } = await readProblem(await post(priority));
    assert.deepEqual([code, errors[0]?.path], ['invalid_request', '/priority']);
  }
  const again = await fetch(`${service.url}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model_id: urgent.model_id, priority: 0 }),
  });
  const last = await readJson(again);
  assert.deepEqual([last.priority, last.position], [0, 2]);
  for (const { id } of [usual, urgent, last]) await send('POST', `/v1/jobs/${id}/cancel`);
});

test('what a queued job needs is not deleted, nor the job; canceled, it is', async () => {
  const job = await submit();
  const needed = [
    `/v1/models/${job.model_id}`,
    `/v1/datasets/${job.scores_dataset_id}`,
    `/v1/jobs/${job.id}`,
  ];
  for (const path of needed) {
    const response = await send('DELETE', path);
    assert.deepEqual([response.status, (await readProblem(response)).code], [409, 'conflict']);
  }
  const report = await send('GET', `/v1/jobs/${job.id}/report`);
  assert.deepEqual([report.status, (await readProblem(report)).code], [409, 'conflict']);
  const canceled = await readJson(await send('POST', `/v1/jobs/${job.id}/cancel`));
  assert.deepEqual(
    [canceled.status, canceled.error.code, canceled.error.status],
    ['canceled', 'canceled', 409],
  );
  for (const path of needed) assert.equal((await send('DELETE', path)).status, 204);
});

test('events reach a reader as they happen, and its leaving ends the stream', async () => {
  const job = await submit();
  const left = new AbortController();
  const leaving = await fetch(`${service.url}/v1/jobs/${job.id}/events`, { signal: left.signal });
  assert.equal(leaving.status, 200);
  left.abort();
  const following = await fetch(`${service.url}/v1/jobs/${job.id}/events`);
  const text = following.text();
  await send('POST', `/v1/jobs/${job.id}/cancel`);
  assert.match(await text, /^id: 1\nevent: canceled\ndata: \{"id":"job_/);
});

test('metrics and readiness tell of the queue', async () => {
  const job = await submit();
  const metrics = await (await send('GET', '/metrics')).text();
  assert.match(metrics, /^emp_queue_jobs\{lane="short",state="queued"\} 1$/m);
  assert.match(
    metrics,
    /^emp_http_request_duration_seconds_count\{method="POST",route="\/v1\/jobs",status="202"\} \d+$/m,
  );
  assert.deepEqual(await readJson(await send('GET', '/readyz')), { status: 'ok' });
  await send('POST', `/v1/jobs/${job.id}/cancel`);
});

test('closing ends event streams and waits', { timeout: 10_000 }, async () => {
  const other = await openTestService();
  const form = new FormData();
  form.append('model', fileOf(createSafetensors({ 'fc.weight': [4, 8] })), 'm.safetensors');
  const post = { method: 'POST', body: form };
  const job = await readJson(await fetch(`${other.url}/v1/jobs`, post));
  const stream = await fetch(`${other.url}/v1/jobs/${job.id}/events`);
  const waiting = fetch(`${other.url}/v1/jobs`, { ...post, headers: { prefer: 'wait=30' } });
  while ((await other.store.listRecords('jobs', 10)).data.length < 2)
    await new Promise((resolve) => setTimeout(resolve, 10));
  await other.close();
  assert.equal(await stream.text(), '');
  assert.equal((await waiting).status, 202);
});

test('a model named like a file of the job itself is refused before the job is acknowledged, and nothing stays', async () => {
  for (const name of ['masks.safetensors', 'report.json/m.safetensors']) {
    const before = await service.files();
    const form = new FormData();
    form.append('model', fileOf(createSafetensors({ 'fc.weight': [4, 8] })), name);
    const response = await fetch(`${service.url}/v1/jobs`, { method: 'POST', body: form });
    const problem = await readProblem(response);
    assert.deepEqual(
      [response.status, problem.code, problem.errors[0]?.path],
      [422, 'unsupported_model', name],
    );
    assert.deepEqual(await service.files(), before);
  }
});
