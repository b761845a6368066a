import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { renderOpenapi } from '../../src/http/openapi.ts';
import { openTestApp, readJson, type TestApp } from './test-app.ts';

const written = await readFile(new URL('../../openapi.yaml', import.meta.url), 'utf8');
const document = parse(written);

describe('openapi.yaml', () => {
  test('is what the code says (npm run openapi)', async () => {
    assert.ok((await renderOpenapi()) === written, 'openapi.yaml is stale: npm run openapi');
  });

  test('describes every operation, its problems and its references', () => {
    const ids = new Set<string>();
    for (const [path, operations] of Object.entries(
      document.paths as Record<string, Record<string, Operation>>,
    )) {
      for (const [method, operation] of Object.entries(operations)) {
        const name = `${method} ${path}`;
        assert.ok(operation.operationId && operation.summary && operation.tags, name);
        assert.ok(!ids.has(operation.operationId), `${operation.operationId} twice`);
        ids.add(operation.operationId);
        assert.ok(operation.responses.default?.content['application/problem+json'], name);
        for (const { description } of Object.values(operation.responses)) assert.ok(description, name);
        if (method === 'post' && !BODILESS.test(path)) assert.ok(operation.requestBody, name);
      }
    }
    for (const [, name = ''] of written.matchAll(/#\/components\/schemas\/(\w+)/g))
      assert.ok(document.components.schemas[name], name);
    const body = document.paths['/v1/thresholds'].post.requestBody.content;
    assert.deepEqual(Object.keys(body), [
      'application/json',
      'application/octet-stream',
      'application/x-npy',
    ]);
  });
});

/** Where the path says all. */
const BODILESS = /\/(cancel|redeliver|webhook-secrets)$/;

interface Operation {
  operationId: string;
  summary: string;
  tags: string[];
  requestBody?: object;
  responses: Record<string, { description: string; content: Record<string, object> }>;
}

describe('the documentation served', () => {
  let service: TestApp;
  before(async () => {
    service = await openTestApp();
  });
  after(() => service.close());

  test('openapi.json says the same', async () => {
    assert.deepEqual(await readJson(await service.fetch('/openapi.json')), document);
  });

  test('/docs and all that it loads come from here', async () => {
    const page = await service.fetch('/docs');
    const html = await page.text();
    assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'self'/);
    const loaded = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(
      ([, url = '']) => new URL(url, 'http://localhost/docs'),
    );
    assert.ok(loaded.length >= 5);
    for (const url of loaded) {
      assert.equal(url.origin, 'http://localhost');
      assert.equal((await service.fetch(url.pathname)).status, 200, url.pathname);
    }
  });
});
