import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { openTestApp, readProblem, type TestApp } from './test-app.ts';

interface Operation {
  requestBody?: { content: Record<string, object> };
}

const document = parse(await readFile(new URL('../../openapi.yaml', import.meta.url), 'utf8'));

let service: TestApp;
before(async () => {
  service = await openTestApp();
});
after(() => service.close());

const FORM = 'application/x-www-form-urlencoded';
const JSON_TYPE = 'application/json';
const OCTETS = 'application/octet-stream';

/** `null` for a body that comes without a type. */
function send(method: string, path: string, type: string | null, body: string): Promise<Response> {
  const headers = { ...(type !== null && { 'content-type': type }) };
  // A string would be sent as text/plain.
  return service.fetch(path, { method, headers, body: body ? new TextEncoder().encode(body) : null });
}

describe('a body of another type is refused with the types that its route takes', () => {
  const uploads = 'must be multipart/form-data';
  const jobs = 'must be application/json or multipart/form-data';
  const scores = 'must be application/json or application/octet-stream or application/x-npy';
  const cases: [path: string, type: string | null, message: string, body?: string][] = [
    ['/v1/jobs', FORM, jobs],
    ['/v1/jobs', OCTETS, jobs],
    ['/v1/jobs', 'text/plain', jobs],
    ['/v1/jobs', null, jobs],
    ['/v1/jobs', 'json', jobs],
    ['/v1/models', FORM, uploads],
    ['/v1/models', OCTETS, uploads],
    ['/v1/models', JSON_TYPE, uploads],
    ['/v1/models', JSON_TYPE, uploads, '{'],
    ['/v1/models', null, uploads],
    ['/v1/models', null, uploads, ''],
    ['/v1/datasets', OCTETS, uploads],
    ['/v1/datasets', FORM, uploads],
    ['/v1/thresholds', FORM, scores],
    ['/v1/thresholds', 'scores', scores],
    ['/v1/thresholds', null, scores],
    ['/v1/thresholds', null, scores, ''],
  ];
  for (const [path, type, message, body = '{}'] of cases) {
    test(`${path} ${type} ${body}`, async () => {
      const response = await send('POST', path, type, body);
      const { code, detail, errors } = await readProblem(response);
      assert.deepEqual([response.status, code], [415, 'unsupported_media_type']);
      assert.equal(detail, `Content-Type is ${type ?? 'missing'}; it ${message}`);
      assert.deepEqual(errors, [{ path: 'Content-Type', message }]);
    });
  }
});

describe('every operation of openapi.yaml', () => {
  const tried = [JSON_TYPE, 'multipart/form-data', OCTETS, 'application/x-npy', FORM, 'text/plain'];
  const near = ['application/json+x', 'multipart/mixed', 'application/jsons', 'text/json'];
  for (const [path, operations] of Object.entries(
    document.paths as Record<string, Record<string, Operation>>,
  ))
    for (const [method, { requestBody }] of Object.entries(operations)) {
      if (method === 'get') continue;
      const taken = Object.keys(requestBody?.content ?? {});
      test(`${method} ${path} takes ${taken.join(', ') || 'no body'}`, async () => {
        for (const type of [...tried, ...near]) {
          const parameters = type.startsWith('multipart/') ? '; boundary=b' : '';
          const body = type.startsWith('multipart/')
            ? '--b\r\nContent-Disposition: form-data; name="value"\r\n\r\n1\r\n--b--\r\n'
            : '{"value":1}';
          const upperCase = type.toUpperCase();
          for (const written of [type, upperCase]) {
            const url = path.replaceAll(/\{\w+\}/g, '0');
            const response = await send(method.toUpperCase(), url, written + parameters, body);
            if (response.ok) {
              // What it does needs neither a body nor anything that is there.
              assert.ok(taken.length === 0 && !path.includes('{'), `${written}: ${response.status}`);
              continue;
            }
            const { code, detail } = await readProblem(response);
            const isRefused = taken.length > 0 && !taken.includes(type);
            assert.equal(response.status === 415, isRefused, `${written}: ${response.status} ${detail}`);
            if (isRefused)
              assert.equal(
                detail,
                `Content-Type is ${written}${parameters}; it must be ${taken.join(' or ')}`,
              );
            else if (taken.length === 0) assert.equal(code, path.includes('{') ? 'not_found' : 'conflict');
          }
        }
      });
    }
});

describe('a route that takes no body passes over what comes', () => {
  for (const [method, path] of [
    ['POST', '/v1/jobs/job_0123456789/cancel'],
    ['DELETE', '/v1/jobs/job_0123456789'],
    ['DELETE', '/v1/models/mdl_0123456789'],
  ] as const)
    for (const [type, body] of [
      [JSON_TYPE, ''],
      [JSON_TYPE, '{}'],
      [FORM, ''],
      [FORM, 'a=b'],
      [OCTETS, ''],
      [null, ''],
    ] as const)
      test(`${method} ${path} ${type} ${body}`, async () => {
        const response = await send(method, path, type, body);
        // There is none of the id, and nothing before that was wrong.
        assert.deepEqual([response.status, (await readProblem(response)).code], [404, 'not_found']);
      });

  test('on a connection that goes on', async () => {
    const url = await service.listen();
    for (const body of ['', 'a=b', 'x'.repeat(3e6)]) {
      const response = await fetch(`${url}/v1/jobs/job_0123456789/cancel`, {
        method: 'POST',
        body,
        headers: { 'content-type': FORM },
      });
      assert.equal((await readProblem(response)).code, 'not_found');
    }
  });
});

test('a route that takes JSON still needs some', async () => {
  const response = await send('POST', '/v1/jobs', JSON_TYPE, '');
  assert.deepEqual([response.status, (await readProblem(response)).code], [400, 'malformed_body']);
});
