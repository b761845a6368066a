import assert from 'node:assert/strict';
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createKey, KeyRing } from '../../src/access/api-keys.ts';
import { fileOf, readJson, readProblem } from './test-app.ts';
import { openTestService, type TestService } from './test-service.ts';

const ONNX = await readFile(new URL('../../examples/fc2-mnist.onnx', import.meta.url));
const keyOf = (tenant: string | null) =>
  createKey({ name: `${tenant}`, tenant, scopes: ['read', 'write', 'admin'] });
const KEYS = { a: keyOf('team-a'), b: keyOf('team-b'), own: keyOf(null) };
type Who = keyof typeof KEYS;

describe('whoever runs the service', () => {
  let service: TestService;
  before(async () => {
    service = await openTestService({
      keys: new KeyRing(Object.values(KEYS).map(({ stored }) => stored)),
    });
    for (const who of ['a', 'b'] as const) assert.equal((await upload(who)).status, 201);
  });
  after(() => service.close());

  const ask = (who: Who, path: string, init: RequestInit = {}) =>
    fetch(service.url + path, {
      ...init,
      headers: { authorization: `Bearer ${KEYS[who].text}`, ...init.headers },
    });
  const upload = (who: Who) => {
    const form = new FormData();
    form.append('file', fileOf(ONNX), 'fc2-mnist.onnx');
    return ask(who, '/v1/models', { method: 'POST', body: form });
  };
  const submit = (who: Who, model_id: string) =>
    ask(who, '/v1/jobs', {
      method: 'POST',
      body: JSON.stringify({ model_id }),
      headers: { 'content-type': 'application/json' },
    });

  test('sees which tenants there are, and a tenant does not', async () => {
    assert.deepEqual(await readJson(await ask('own', '/v1/tenants')), { data: ['team-a', 'team-b'] });
    for (const [path, method] of [
      ['/metrics', 'GET'],
      ['/v1/tenants', 'GET'],
      ['/v1/tenants/team-a/usage', 'GET'],
      ['/v1/tenants/team-b', 'DELETE'],
      ['/v1/tenants/team-a', 'DELETE'],
    ]) {
      const problem = await readProblem(await ask('a', path, { method }));
      assert.equal(problem.code, 'forbidden');
    }
    const [theirs, seen] = [await ask('a', '/v1/usage'), await ask('own', '/v1/tenants/team-a/usage')];
    assert.deepEqual(await readJson(seen), await readJson(theirs));
    assert.equal((await ask('own', '/v1/tenants/team-c/usage')).status, 404);
    assert.equal((await ask('own', '/v1/tenants/team-c', { method: 'DELETE' })).status, 404);
    assert.equal((await ask('own', '/v1/tenants/..', { method: 'DELETE' })).status, 404);
    assert.equal((await ask('own', '/v1/tenants/%2e%2e%2fmodels', { method: 'DELETE' })).status, 404);
  });

  test('deletes all of one, jobs that wait too, and nothing of another; who comes again begins with nothing', async () => {
    const [model] = (await readJson(await ask('a', '/v1/models'))).data;
    const job = await readJson(await submit('a', model.id));
    const others = await readJson(await submit('b', model.id));
    assert.equal((await ask('own', '/v1/tenants/team-a', { method: 'DELETE' })).status, 204);
    await assert.rejects(access(join(service.store.root, 'tenants', 'team-a')), { code: 'ENOENT' });
    assert.deepEqual(await readJson(await ask('own', '/v1/tenants')), { data: ['team-b'] });
    for (const path of [`/v1/models/${model.id}`, `/v1/jobs/${job.id}`])
      assert.equal((await ask('a', path)).status, 404);
    assert.deepEqual((await readJson(await ask('a', '/v1/jobs'))).data, []);
    assert.equal((await upload('a')).status, 201);
    assert.equal((await readJson(await submit('a', model.id))).status, 'queued');
    assert.equal((await readJson(await ask('b', `/v1/jobs/${others.id}`))).status, 'queued');
  });

  test('a resource tells how long it is kept, and can be pinned', async () => {
    const [model] = (await readJson(await ask('b', '/v1/models'))).data;
    const path = `/v1/models/${model.id}/retention`;
    const put = (body: unknown) =>
      ask('b', path, {
        method: 'PUT',
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      });
    assert.deepEqual(await readJson(await ask('b', path)), { pinned: false, expires_at: null });
    assert.deepEqual(await readJson(await put({ pinned: true })), { pinned: true, expires_at: null });
    assert.deepEqual(await readJson(await ask('b', path)), { pinned: true, expires_at: null });
    assert.equal((await readProblem(await put({ pinned: 1 }))).code, 'invalid_request');
    assert.deepEqual(await readJson(await put({ pinned: false })), { pinned: false, expires_at: null });
  });
});
