import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createSafetensors } from '../models/safetensors-bytes.ts';
import { rawRequest } from './raw-request.ts';
import { fileOf, openTestApp, readJson, readProblem, type TestApp } from './test-app.ts';

let service: TestApp;
before(async () => {
  service = await openTestApp();
});
after(() => service.close());

describe('every answer says that it is no page of another site', () => {
  const assertGuarded = (headers: { get(name: string): string | null | undefined }, what: string) => {
    assert.equal(headers.get('x-content-type-options'), 'nosniff', what);
    assert.match(headers.get('content-security-policy') ?? '', /frame-ancestors 'none'/, what);
    assert.match(headers.get('content-security-policy') ?? '', /default-src '(none|self)'/, what);
    assert.equal(headers.get('x-frame-options'), 'DENY', what);
    assert.equal(headers.get('referrer-policy'), 'no-referrer', what);
    assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin', what);
  };

  test('of every route without parameters, and of what is refused', async () => {
    for (const [path, init, status] of [
      ['/', {}, 200],
      ['/docs/', {}, 200],
      ['/docs/static/swagger-ui-bundle.js', {}, 200],
      ['/docs/static/nothing.js', {}, 404],
      ['/openapi.json', {}, 200],
      ['/metrics', {}, 200],
      ['/healthz', {}, 200],
      ['/v1/models', {}, 200],
      ['/v1/models?limit=x', {}, 422],
      ['/nothing', {}, 404],
      ['/healthz', { method: 'PUT' }, 405],
      ['/%zz', {}, 400],
      ['/v1/thresholds', { method: 'POST', headers: { 'content-type': 'text/html' }, body: 'x' }, 415],
      ['/v1/models', { method: 'POST', headers: { origin: 'null' } }, 403],
    ] as const) {
      const response = await service.fetch(path, init);
      assert.equal(response.status, status, path);
      assertGuarded(response.headers, path);
    }
  });

  test('of a model, whole, as a file and as what a client has already', async () => {
    const form = new FormData();
    form.append('file', fileOf(createSafetensors({ w: [2, 2] })), 'm.safetensors');
    const { id } = await readJson(await service.fetch('/v1/models', { method: 'POST', body: form }));
    const path = `/v1/models/${id}/content`;
    const whole = await service.fetch(path);
    assertGuarded(whole.headers, path);
    const known = await service.fetch(path, {
      headers: { 'if-none-match': whole.headers.get('etag') ?? '' },
    });
    assert.equal(known.status, 304);
    assertGuarded(known.headers, '304');
    assertGuarded((await service.fetch(path, { method: 'DELETE' })).headers, '405');
    assertGuarded((await service.fetch(`/v1/models/${id}`, { method: 'DELETE' })).headers, '204');
  });

  test('of what is not HTTP', async () => {
    const { status, headers } = await rawRequest(await service.listen(), 'hello\r\n\r\n');
    assert.equal(status, 400);
    assertGuarded(headers, 'hello');
  });
});

describe('a problem tells no more of a request than is needed to know it again', () => {
  const long = 'x'.repeat(8000);
  const json = { 'content-type': 'application/json' };
  const fields = (count: number, prefix = 'f') =>
    JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, i) => [`${prefix}${i}`, 1])));
  const refused = async (path: string, init: RequestInit, mostBytes: number) => {
    const response = await service.fetch(path, init);
    const size = Number(response.headers.get('content-length'));
    assert.ok(response.status >= 400 && response.status < 500, `${response.status}`);
    await readProblem(response);
    assert.ok(size > 0 && size <= mostBytes, `${size} bytes`);
  };

  for (const [what, path, init] of [
    ['path', `/${long}`, {}],
    ['method and path', `/v1/models/${'x'.repeat(4000)}`, { method: 'PATCH' }],
    ['parameter', `/v1/models?${long}=1`, {}],
    ['value', `/v1/models?cursor=${long}`, {}],
    [
      'dtype',
      `/v1/thresholds?dtype=${long}`,
      { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: 'abcd' },
    ],
    ['media type', '/v1/jobs', { method: 'POST', headers: { 'content-type': `text/${long}` }, body: 'x' }],
    [
      'encoding',
      '/v1/thresholds',
      { method: 'POST', headers: { ...json, 'content-encoding': long }, body: 'x' },
    ],
    ['host', '/healthz', { headers: { host: `${long}.example` } }],
    ['origin', '/v1/jobs', { method: 'DELETE', headers: { origin: `http://${long}` } }],
    ['field', '/v1/jobs', { method: 'POST', headers: json, body: JSON.stringify({ [long]: 1 }) }],
    ['more fields than are read', '/v1/jobs', { method: 'POST', headers: json, body: fields(50_000) }],
  ] as [string, string, RequestInit][]) {
    // A text of 2,000 characters, a place of 500, and what is the same for all.
    test(what, () => refused(path, init, 3000));
  }

  test('many fields', () => refused('/v1/jobs', { method: 'POST', headers: json, body: fields(1000) }, 8000));

  test('many long fields', () =>
    refused('/v1/jobs', { method: 'POST', headers: json, body: fields(200, 'x'.repeat(1000)) }, 60_000));
});

describe('what is right in form is not called malformed', () => {
  for (const [body, path] of [
    ['{"__proto__":1}', '/__proto__'],
    ['{"recipe":{"__proto__":{"beta":2}}}', '/recipe/__proto__'],
    ['{"constructor":{"prototype":1}}', '/constructor'],
  ]) {
    test(`${body} is JSON with an unknown field`, async () => {
      const headers = { 'content-type': 'application/json' };
      const response = await service.fetch('/v1/jobs', { method: 'POST', headers, body });
      const { errors } = await readProblem(response);
      assert.equal(response.status, 422);
      assert.ok(errors.some((error) => error.path === path));
    });
  }

  test('a method that no route takes, with a body of any kind', async () => {
    for (const method of ['QUERY', 'PROPFIND', 'LINK', 'PUT']) {
      for (const headers of [{}, { 'content-type': 'no/type' }]) {
        const response = await service.fetch('/healthz', { method, headers, body: 'x' });
        assert.equal((await readProblem(response)).code, 'method_not_allowed', method);
        assert.equal(response.headers.get('allow'), 'GET, HEAD');
      }
    }
  });
});
