import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { renderOpenapi } from '../../src/http/openapi.ts';
import { openTestService, readJson, type TestService } from './test-service.ts';

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
        if (method === 'post' && !path.endsWith('/cancel')) assert.ok(operation.requestBody, name);
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

interface Operation {
  operationId: string;
  summary: string;
  tags: string[];
  requestBody?: object;
  responses: Record<string, { description: string; content: Record<string, object> }>;
}

describe('the documentation served', () => {
  let service: TestService;
  before(async () => {
    service = await openTestService();
  });
  after(() => service.close());

  test('openapi.json says the same', async () => {
    assert.deepEqual(await readJson(await fetch(`${service.url}/openapi.json`)), document);
  });

  test('/docs and all that it loads come from here', async () => {
    assert.equal(new URL((await fetch(service.url)).url).pathname, '/docs');
    const page = await fetch(`${service.url}/docs`);
    const html = await page.text();
    assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'self'/);
    const loaded = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(
      ([, url = '']) => new URL(url, page.url),
    );
    assert.ok(loaded.length >= 5);
    for (const url of loaded) {
      assert.equal(url.origin, service.url);
      const response = await fetch(url);
      await response.arrayBuffer();
      assert.equal(response.status, 200, url.pathname);
    }
  });
});
