import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { cursorAfter } from '../../src/storage/ids.ts';
import { openTestApp, readProblem, type TestApp } from './test-app.ts';

interface Parameter {
  in: string;
  name: string;
  schema: { type: string; enum?: string[]; items?: { enum: string[] } };
}

const document = parse(await readFile(new URL('../../openapi.yaml', import.meta.url), 'utf8'));
const parameters = Object.entries(
  document.paths as Record<string, Record<string, { parameters?: Parameter[] }>>,
).flatMap(([path, operations]) =>
  Object.entries(operations).flatMap(([method, { parameters = [] }]) =>
    parameters.map((parameter) => ({ method: method.toUpperCase(), path, parameter })),
  ),
);
const ofQueries = parameters.filter(({ parameter }) => parameter.in === 'query');
const ofPaths = parameters.filter(({ parameter }) => parameter.in === 'path');

let service: TestApp;
before(async () => {
  service = await openTestApp();
});
after(() => service.close());

function ask(method: string, path: string, query = ''): Promise<Response> {
  const url = `${path.replaceAll(/\{\w+\}/g, '0')}${query}`;
  if (method !== 'POST' && method !== 'PUT') return service.fetch(url, { method });
  const type = path === '/v1/thresholds' ? 'application/octet-stream' : 'application/json';
  return service.fetch(url, {
    method,
    headers: { 'content-type': type },
    body: method === 'PUT' ? '{"pinned":true}' : '{"value":1}\n',
  });
}

describe('a parameter of a query', () => {
  test('is there to be tried', () => {
    for (const name of ['limit', 'cursor', 'line', 'within', 'sort', 'model_id', 'beta', 'include'])
      assert.ok(
        ofQueries.some(({ parameter }) => parameter.name === name),
        name,
      );
  });

  for (const { method, path, parameter } of ofQueries) {
    const { name, schema } = parameter;
    const refuses = async (query: string, message: RegExp) => {
      const response = await ask(method, path, query);
      const { code, errors } = await readProblem(response);
      assert.deepEqual([response.status, code], [422, 'invalid_request'], query);
      assert.match(errors[0]?.path ?? '', new RegExp(`^\\?${name}\\b`), query);
      assert.match(errors[0]?.message ?? '', message, query);
    };

    test(`${method} ${path}?${name} that is blank`, async () => {
      for (const blank of ['', '%20']) await refuses(`?${name}=${blank}`, /^must /);
    });

    // A list may be given entry by entry, as OpenAPI has them.
    if (schema.type !== 'array')
      test(`${method} ${path}?${name} that is given twice`, () =>
        refuses(`?${name}=1&${name}=1`, /^is given twice$/));

    if (schema.type === 'integer')
      test(`${method} ${path}?${name} in another spelling`, async () => {
        for (const spelling of ['0x5', '05', '1e0', '1.0', '-0', '%2B5', '5%20', '1_0', '٥'])
          await refuses(`?${name}=${spelling}`, /^must be a whole number written as 0, 1, 2 and so on, is "/);
        await refuses(`?${name}=${'9'.repeat(400)}`, /^must be /);
      });

    if (schema.type === 'number')
      test(`${method} ${path}?${name} in another spelling`, async () => {
        for (const spelling of ['0x5', '05', '.5', '5.', '%2B5', '5%20', 'Infinity', '1e'])
          await refuses(`?${name}=${spelling}`, /^must be a number as JSON has them, is "/);
        await refuses(`?${name}=1e400`, /^must be a finite number, is Infinity$/);
      });
  }
});

test('a cursor of a list of another kind is refused', async () => {
  const kinds = { models: 'mdl', datasets: 'dat', jobs: 'job', searches: 'sea' };
  const created_at = new Date(0).toISOString();
  for (const [kind, prefix] of Object.entries(kinds)) {
    const cursor = cursorAfter({ created_at, id: `${prefix}_0123456789` });
    for (const other of Object.keys(kinds)) {
      const response = await service.fetch(`/v1/${other}?cursor=${cursor}`);
      assert.equal(response.status, other === kind ? 200 : 422, `${kind} at ${other}`);
      if (other === kind) continue;
      const { errors } = await readProblem(response);
      assert.deepEqual(errors, [
        { path: '?cursor', message: `must be the next_cursor of a page of ${other}` },
      ]);
    }
  }
});

describe('a path with an empty part', () => {
  for (const { method, path, parameter } of ofPaths)
    test(`${method} ${path} without ${parameter.name}`, async () => {
      for (const part of ['', '%20']) {
        const response = await ask(method, path.replace(`{${parameter.name}}`, part));
        assert.deepEqual([response.status, (await readProblem(response)).code], [404, 'not_found'], part);
      }
    });
});

test('a number of a path in another spelling is not there', async () => {
  const [{ method, path } = { method: '', path: '' }, ...others] = ofPaths.filter(
    ({ parameter }) => parameter.schema.type === 'integer',
  );
  assert.deepEqual([path, others.length], ['/v1/searches/{id}/candidates/{candidate}/metric', 0]);
  for (const spelling of ['0x0', '01', '1e0', '1.0', '-0', '99']) {
    const response = await ask(method, path.replace('{candidate}', spelling));
    const { code, errors } = await readProblem(response);
    assert.deepEqual([response.status, code, errors[0]?.path], [404, 'not_found', 'candidate'], spelling);
  }
});
