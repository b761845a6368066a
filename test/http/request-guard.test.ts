import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { rawRequest } from './raw-request.ts';
import { openTestApp, readProblem, type TestApp } from './test-app.ts';

const CLOSE = 'Connection: close\r\n\r\n';

/** Every kind of route: of pages, of what scrapes and probes, of resources, and none at all. */
const PATHS = [
  '/',
  '/docs/',
  '/docs/static/swagger-ui.css',
  '/metrics',
  '/healthz',
  '/readyz',
  '/openapi.json',
  '/v1/models',
  '/v1/jobs/x/report',
  '/problems/x',
  '/nothing',
];

let local: TestApp;
let exposed: TestApp;
let [localUrl, exposedUrl] = ['', ''];
before(async () => {
  local = await openTestApp();
  exposed = await openTestApp({ host: '0.0.0.0', allowedHosts: ['api', 'Emp.Example.com', '::2'] });
  [localUrl, exposedUrl] = [await local.listen(), await exposed.listen()];
});
after(async () => {
  await local.close();
  await exposed.close();
});

async function codeOf(url: string, request: string): Promise<[number, string]> {
  const { status, headers, body } = await rawRequest(url, request);
  if (status < 400) return [status, ''];
  assert.match(headers.get('content-type') ?? '', /^application\/problem\+json/);
  const problem = JSON.parse(body);
  assert.equal(problem.status, status);
  return [status, problem.code];
}

const REFUSED = [421, 'misdirected_request'];
const PASSED = [200, ''];

describe('a Host that', () => {
  const port = () => new URL(localUrl).port;
  for (const [host, whenLocal, whenExposed] of [
    ['127.0.0.1', PASSED, PASSED],
    ['127.8.9.10:1', PASSED, PASSED],
    ['localhost', PASSED, PASSED],
    ['LOCALHOST:PORT', PASSED, PASSED],
    ['localhost.', PASSED, PASSED],
    ['[::1]:PORT', PASSED, PASSED],
    ['[0:0:0:0:0:0:0:1]', PASSED, PASSED],
    ['evil.example', REFUSED, REFUSED],
    ['evil.example:PORT', REFUSED, REFUSED],
    ['localhost.evil.example', REFUSED, REFUSED],
    ['127.0.0.1.evil.example', REFUSED, REFUSED],
    ['127.evil.example', REFUSED, REFUSED],
    ['xn--n3h.example', REFUSED, REFUSED],
    ['10.1.2.3', REFUSED, PASSED],
    ['[fe80::1]:80', REFUSED, PASSED],
    ['api:3000', REFUSED, PASSED],
    ['API.', REFUSED, PASSED],
    ['emp.example.com', REFUSED, PASSED],
    ['x.emp.example.com', REFUSED, REFUSED],
  ] as const) {
    test(`is ${host}`, async () => {
      const request = `GET /v1/models HTTP/1.1\r\nHost: ${host.replace('PORT', port())}\r\n${CLOSE}`;
      assert.deepEqual(await codeOf(localUrl, request), whenLocal);
      assert.deepEqual(await codeOf(exposedUrl, request), whenExposed);
    });
  }

  for (const host of [
    '',
    'a b',
    'user@localhost',
    'localhost/x',
    'localhost:port',
    '[::1',
    'local\\host',
    '127.0.0.1.5.6.300',
  ]) {
    test(`is no host: ${host}`, async () => {
      const answer = await codeOf(localUrl, `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n${CLOSE}`);
      assert.deepEqual(answer, [400, 'malformed_host']);
    });
  }

  test('is foreign reaches nothing, on any path', async () => {
    for (const path of PATHS) {
      const [status, code] = await codeOf(localUrl, `GET ${path} HTTP/1.1\r\nHost: evil.example\r\n${CLOSE}`);
      assert.deepEqual([status, code], REFUSED, path);
    }
  });

  test('is missing or there twice is refused with a problem', async () => {
    for (const hosts of [
      '',
      'Host: localhost\r\nHost: localhost\r\n',
      'Host: localhost\r\nhOST: evil.example\r\n',
    ]) {
      const answer = await codeOf(localUrl, `GET /healthz HTTP/1.1\r\n${hosts}${CLOSE}`);
      assert.deepEqual(answer, [400, 'malformed_host'], hosts);
    }
    assert.deepEqual(await codeOf(localUrl, `GET /healthz HTTP/1.0\r\n\r\n`), PASSED);
  });

  test('the target of the request names itself is the one that counts', async () => {
    const get = (target: string, host: string) =>
      codeOf(localUrl, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${CLOSE}`);
    assert.deepEqual(await get('http://localhost/healthz', 'evil.example'), PASSED);
    assert.deepEqual(await get('http://evil.example/healthz', 'localhost'), REFUSED);
    assert.deepEqual(await get('HTTPS://evil.example:80/healthz', 'localhost'), REFUSED);
  });
});

describe('a request that changes something', () => {
  const post = async (headers: Record<string, string>, service = exposed, method = 'POST') => {
    const path = method === 'POST' ? '/v1/thresholds' : '/v1/models/x';
    const response = await service.fetch(path, {
      method,
      headers: { host: 'api:3000', 'content-type': 'application/json', ...headers },
      ...(method === 'POST' && { body: '{"scores":[1,2]}' }),
    });
    if (response.status !== 403) return response.status;
    const { code, detail } = await readProblem(response);
    assert.equal(code, 'cross_site_request');
    assert.match(detail, /ALLOWED_HOSTS/);
    return 403;
  };

  for (const [headers, status] of [
    [{}, 200],
    [{ origin: 'http://api:3000' }, 200],
    [{ origin: 'https://api:3000' }, 200],
    [{ origin: 'http://api:3000', 'sec-fetch-site': 'same-origin' }, 200],
    [{ 'sec-fetch-site': 'none' }, 200],
    [{ origin: 'https://emp.example.com' }, 200],
    [{ origin: 'https://emp.example.com', 'sec-fetch-site': 'same-site' }, 200],
    [{ host: 'localhost', origin: 'http://localhost' }, 200],
    [{ host: 'localhost:80', origin: 'http://localhost' }, 200],
    [{ host: 'localhost:3000', origin: 'http://localhost:8080' }, 403],
    [{ host: 'localhost:3000', origin: 'http://localhost' }, 403],
    [{ host: '127.0.0.1:3000', origin: 'http://localhost:3000' }, 403],
    [{ origin: 'https://evil.example' }, 403],
    [{ origin: 'null' }, 403],
    [{ origin: '' }, 403],
    [{ origin: 'chrome-extension://abc' }, 403],
    [{ origin: 'file://' }, 403],
    [{ origin: 'http://evil.example, http://api:3000' }, 403],
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ 'sec-fetch-site': 'same-site' }, 403],
    [{ 'sec-fetch-site': 'same-origin', origin: 'https://evil.example' }, 403],
  ] as const) {
    test(`${JSON.stringify(headers)} gets ${status}`, async () => {
      assert.equal(await post(headers), status);
    });
  }

  test('is refused by every method that does, and by no other', async () => {
    const foreign = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'QUERY', 'PROPFIND'])
      assert.equal(await post(foreign, exposed, method), 403, method);
    for (const method of ['GET', 'HEAD', 'OPTIONS'])
      assert.notEqual(await post(foreign, exposed, method), 403, method);
  });

  test('is refused before its body is asked for', async () => {
    const head =
      'POST /v1/models HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n';
    const { status, body } = await rawRequest(localUrl, `${head}Origin: null\r\n\r\n`);
    assert.deepEqual([status, JSON.parse(body).code], [403, 'cross_site_request']);
  });

  test('is taken from the page of the documentation and from programs', async () => {
    const json = { 'content-type': 'application/json' };
    for (const headers of [json, { ...json, origin: localUrl, 'sec-fetch-site': 'same-origin' }]) {
      const response = await fetch(`${localUrl}/v1/thresholds`, {
        method: 'POST',
        headers,
        body: '{"scores":[1,2]}',
      });
      assert.equal(response.status, 200);
      await response.text();
    }
  });
});

describe('Expect', () => {
  const post = (expect: string) =>
    rawRequest(
      localUrl,
      `POST /v1/thresholds HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 16\r\nExpect: ${expect}\r\nConnection: close\r\n\r\n{"scores":[1,2]}`,
    );
  test('100-continue is met', async () => {
    const { status, body } = await post('100-Continue');
    assert.equal(status, 100);
    assert.match(body, /^HTTP\/1\.1 200 OK/);
  });
  test('another is refused with a problem', async () => {
    const { status, body } = await post('200-ok');
    assert.deepEqual([status, JSON.parse(body).code], [417, 'expectation_failed']);
  });
});
