import assert from 'node:assert/strict';
import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createKey, KeyRing } from '../../src/access/api-keys.ts';
import { connectTo, parseResponse } from './raw-request.ts';
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

  for (const comesAgain of [false, true])
    test(`an upload under way when its tenant is deleted ${comesAgain ? 'and comes again ' : ''}is told so`, async () => {
      const [middle, end] = [ONNX.byteLength / 2, Buffer.from('\r\n--x--\r\n')];
      const head = Buffer.from(
        '--x\r\ncontent-disposition: form-data; name="file"; filename="a.onnx"\r\n\r\n',
      );
      const length = head.byteLength + ONNX.byteLength + end.byteLength;
      const socket = await connectTo(service.url);
      const lines = [
        'POST /v1/models HTTP/1.1',
        `Host: ${new URL(service.url).host}`,
        `Authorization: Bearer ${KEYS.a.text}`,
        'Content-Type: multipart/form-data; boundary=x',
        `Content-Length: ${length}`,
        'Connection: close',
      ];
      socket.write(`${lines.join('\r\n')}\r\n\r\n`);
      socket.write(Buffer.concat([head, ONNX.subarray(0, middle)]));
      const uploads = join(service.store.root, 'tenants', 'team-a', 'uploads');
      const isWriting = async () => {
        const names = await readdir(uploads, { recursive: true }).catch(() => []);
        return names.some((name) => name.endsWith('a.onnx'));
      };
      while (!(await isWriting())) await sleep(10);
      assert.equal((await ask('own', '/v1/tenants/team-a', { method: 'DELETE' })).status, 204);
      if (comesAgain) assert.equal((await ask('a', '/v1/models')).status, 200);
      socket.write(Buffer.concat([ONNX.subarray(middle), end]));
      const { status, body } = parseResponse(await text(socket));
      assert.equal(status, 409, body);
      assert.match(JSON.parse(body).detail, /the tenant team-a was deleted meanwhile/);
      const names = comesAgain ? ['team-a', 'team-b'] : ['team-b'];
      assert.deepEqual(await readJson(await ask('own', '/v1/tenants')), { data: names });
    });

  test('reads and writes under way when their tenant is deleted are never faults of the service', async () => {
    const { id } = await readJson(await upload('a'));
    const wrong: string[] = [];
    let isOver = false;
    const asked = [
      () => upload('a'),
      () => submit('a', id),
      () => ask('a', '/v1/usage'),
      () => ask('a', '/v1/jobs'),
      () => ask('a', `/v1/models/${id}/files/fc2-mnist.onnx`),
      () => ask('a', `/v1/models/${id}/n-eff`),
      () => ask('a', '/v1/webhook-secrets', { method: 'POST' }),
      () => ask('own', '/v1/tenants/team-a/usage'),
      () => ask('own', '/metrics'),
    ].map(async (request) => {
      while (!isOver) {
        const response = await request();
        const body = await response.text();
        if (response.status >= 500) wrong.push(`${response.status} ${response.url} ${body}`);
      }
    });
    for (let i = 0; i < 10; i++) {
      await sleep(100);
      const [one, other] = [0, 1].map(() => ask('own', '/v1/tenants/team-a', { method: 'DELETE' }));
      for (const response of [await one, await other])
        if (![204, 404].includes(response?.status ?? 0)) wrong.push(`DELETE ${await response?.text()}`);
    }
    isOver = true;
    await Promise.all(asked);
    assert.deepEqual(wrong, []);
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
