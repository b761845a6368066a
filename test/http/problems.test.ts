import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { PROBLEMS } from '../../src/http/problem.ts';
import { openTestApp, readJson, readProblem, type TestApp } from './test-app.ts';

let service: TestApp;
before(async () => {
  service = await openTestApp();
});
after(() => service.close());

describe('every failure is a problem', () => {
  const cases: [string, RequestInit, number, string][] = [
    ['/nothing', {}, 404, 'not_found'],
    ['/v1/models/', {}, 404, 'not_found'],
    ['/v1/thresholds', {}, 405, 'method_not_allowed'],
    ['/v1/models/mdl_0123456789', { method: 'PUT' }, 405, 'method_not_allowed'],
    [
      '/v1/jobs',
      { method: 'POST', body: 'x', headers: { 'content-type': 'text/csv' } },
      415,
      'unsupported_media_type',
    ],
    [
      '/v1/jobs',
      { method: 'POST', body: '{}', headers: { 'content-type': 'text/plain' } },
      415,
      'unsupported_media_type',
    ],
    ['/docs/static/nothing.js', {}, 404, 'not_found'],
    ['/v1/jobs/x/events', { method: 'POST' }, 405, 'method_not_allowed'],
    ['/v1/models?cursor=zzz', {}, 422, 'invalid_request'],
    ['/%zz', {}, 400, 'malformed_body'],
    ['/v1/jobs?limit=-1', {}, 422, 'invalid_request'],
    [
      '/v1/jobs',
      {
        method: 'POST',
        body: JSON.stringify('x'.repeat(2 ** 20)),
        headers: { 'content-type': 'application/json' },
      },
      413,
      'payload_too_large',
    ],
  ];
  for (const [path, init, status, code] of cases) {
    test(`${init.method ?? 'GET'} ${path}`, async () => {
      const response = await service.fetch(path, init);
      assert.deepEqual([response.status, (await readProblem(response)).code], [status, code]);
    });
  }

  test('a wrong method is told the right ones', async () => {
    const response = await service.fetch('/v1/models/x', { method: 'PATCH' });
    assert.equal(response.headers.get('allow'), 'DELETE, GET, HEAD');
    await response.text();
  });

  test('a query parameter is named in the detail too', async () => {
    const { detail, errors } = await readProblem(await service.fetch('/v1/jobs?limit=0'));
    assert.match(detail, /^\?limit /);
    assert.equal(errors[0]?.path, '?limit');
  });

  for (const [what, request, status, code] of [
    ['what is not HTTP', 'hello', 400, 'malformed_body'],
    ['a header of 20 kB', `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}`, 431, 'headers_too_large'],
  ] as const) {
    test(what, async () => {
      const socket = connect(Number(new URL(await service.listen()).port), '127.0.0.1');
      await once(socket, 'connect');
      socket.write(`${request}\r\n\r\n`);
      const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n');
      assert.match(head, new RegExp(`^HTTP/1\\.1 ${status} .*application/problem\\+json`, 's'));
      assert.deepEqual([JSON.parse(body).status, JSON.parse(body).code], [status, code]);
    });
  }

  test('a fault of ours: no stack trace, no message, and the id to find it by', async () => {
    const broken = await openTestApp();
    try {
      broken.store.listRecords = () => Promise.reject(new Error('secret /path'));
      const response = await broken.fetch('/v1/models', { headers: { 'x-request-id': 'find-me' } });
      const { code, detail } = await readProblem(response);
      assert.deepEqual([response.status, code], [500, 'internal_error']);
      assert.match(detail, /find-me/);
      assert.doesNotMatch(detail, /secret/);
    } finally {
      await broken.close();
    }
  });

  test('every code says what it means', async () => {
    for (const [code, problem] of Object.entries(PROBLEMS)) {
      assert.deepEqual(await readJson(await service.fetch(`/problems/${code}`)), { code, ...problem });
    }
    assert.equal((await service.fetch('/problems/other')).status, 404);
  });
});

test('HEAD answers as GET does, without the body', async () => {
  const path = '/openapi.json';
  const [get, head] = [await service.fetch(path), await service.fetch(path, { method: 'HEAD' })];
  assert.equal(head.status, 200);
  assert.equal(Number(head.headers.get('content-length')), (await get.arrayBuffer()).byteLength);
});

describe('X-Request-Id', () => {
  const idOf = async (given?: string) => {
    const response = await service.fetch('/healthz', {
      headers: given === undefined ? {} : { 'x-request-id': given },
    });
    await response.text();
    return response.headers.get('x-request-id') ?? '';
  };

  test('is given back, or made', async () => {
    assert.equal(await idOf('abc-123'), 'abc-123');
    assert.match(await idOf(), /^[0-9a-f-]{36}$/);
    assert.notEqual(await idOf(), await idOf());
  });

  test('is replaced where it could forge a log', async () => {
    for (const id of ['a b', '{"level":60}', 'x'.repeat(129)])
      assert.match(await idOf(id), /^[0-9a-f-]{36}$/);
  });
});
