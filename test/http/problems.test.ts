import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { PROBLEMS } from '../../src/http/problem.ts';
import { connectTo, rawRequest } from './raw-request.ts';
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
    ['/docs/static/%00', {}, 404, 'not_found'],
    ['/docs/static//etc/passwd', {}, 404, 'not_found'],
    ['/v1/jobs/x/events', { method: 'POST' }, 405, 'method_not_allowed'],
    ['/v1/models?cursor=zzz', {}, 422, 'invalid_request'],
    ['/%zz', {}, 400, 'malformed_request'],
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
    ['what is not HTTP', 'hello', 400, 'malformed_request'],
    ['a method of nobody', 'FOO / HTTP/1.1\r\nHost: localhost', 501, 'method_not_implemented'],
    ['a method in small letters', 'get / HTTP/1.1\r\nHost: localhost', 501, 'method_not_implemented'],
    ['a method that begins like another', 'GETX / HTTP/1.1', 501, 'method_not_implemented'],
    ['a tunnel', 'CONNECT x:1 HTTP/1.1\r\nHost: x:1', 501, 'method_not_implemented'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM', 400, 'malformed_request'],
    ['a length in letters', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x', 400, 'malformed_request'],
    [
      'a chunk of a length in letters',
      'POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz',
      400,
      'malformed_body',
    ],
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

  test('an unknown method is named, also behind another request', async () => {
    const known = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n';
    for (const before of ['', known]) {
      const socket = await connectTo(await service.listen());
      if (before) socket.write(before);
      socket.write('FOO /v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n');
      assert.match(await text(socket), /^(HTTP\/1\.1 200 .*)?HTTP\/1\.1 501 .*"detail":"FOO is no method /s);
    }
  });

  test('a client of a tunnel that resets its connection ends nothing', async () => {
    const url = await service.listen();
    for (let i = 0; i < 20; i++) {
      const socket = await connectTo(url);
      socket.write('CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n');
      socket.resetAndDestroy();
    }
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
  });

  for (const [what, path, status, code, words] of [
    [
      'a part of a path that is too long',
      `/v1/searches/${'a'.repeat(5000)}`,
      404,
      'not_found',
      'no part of a path',
    ],
    ['an id that is too long', `/v1/searches/${'a'.repeat(100)}`, 404, 'not_found', 'id must have at most'],
    ['a percent sign alone', '/v1/searches/%', 400, 'malformed_request', 'cannot be decoded'],
    ['a byte that is no UTF-8', '/v1/models/%ff', 400, 'malformed_request', 'cannot be decoded'],
    ['a URL without a host', 'http://', 400, 'malformed_request', 'is neither'],
  ] as const)
    test(what, async () => {
      const request = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
      const answer = await rawRequest(await service.listen(), request);
      const problem = JSON.parse(answer.body);
      assert.deepEqual([answer.status, problem.code], [status, code]);
      assert.ok(problem.detail.includes(words), problem.detail);
      assert.doesNotMatch(problem.title, /body/);
    });

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
