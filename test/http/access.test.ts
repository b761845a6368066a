import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { createKey, KeyRing, SCOPES, type Scope } from '../../src/access/api-keys.ts';
import { createApp } from '../../src/http/app.ts';
import { openTestApp, readProblem, type TestApp } from './test-app.ts';

interface Operation {
  readonly method: string;
  readonly path: string;
  /** Null of one that needs no key. */
  readonly scope: Scope | null;
}

/** What `openapi.yaml` says: a route that is added is looked at by itself. */
async function readOperations(): Promise<Operation[]> {
  const { paths } = parse(await readFile(new URL('../../openapi.yaml', import.meta.url), 'utf8'));
  return Object.entries(
    paths as Record<string, Record<string, { security: Record<string, Scope[]>[] }>>,
  ).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { security }]) => ({
      method: method.toUpperCase(),
      path: path.replaceAll(/\{\w+\}/g, '0'),
      scope: security[0]?.ApiKey?.[0] ?? null,
    })),
  );
}

const OPERATIONS = await readOperations();
const KEYS = Object.fromEntries(SCOPES.map((scope) => [scope, createKey({ name: scope, scopes: [scope] })]));
const REFUSED = [401, 403];

describe('a service with keys', () => {
  let app: TestApp;
  before(async () => {
    app = await openTestApp({ keys: new KeyRing(Object.values(KEYS).map(({ stored }) => stored)) });
  });
  after(() => app.close());

  const ask = ({ method, path }: Operation, authorization?: string) =>
    app.fetch(path, { method, headers: authorization === undefined ? {} : { authorization } });

  test('has operations of every scope, and such that need no key', () => {
    assert.deepEqual([...new Set(OPERATIONS.map(({ scope }) => scope))].sort(), [...SCOPES, null].sort());
    assert.ok(OPERATIONS.length > 25);
    const open = OPERATIONS.filter(({ scope }) => scope === null).map(({ path }) => path);
    assert.deepEqual(open.sort(), ['/healthz', '/problems/0', '/readyz']);
  });

  for (const operation of OPERATIONS) {
    const { method, path, scope } = operation;
    test(`${method} ${path}: ${scope ?? 'needs no key'}`, async () => {
      if (scope === null) {
        for (const authorization of [undefined, 'Bearer nobody', `Bearer ${KEYS.read.text}`])
          assert.ok(!REFUSED.includes((await ask(operation, authorization)).status));
        return;
      }
      const wrong = createKey({ name: scope, scopes: [scope] }).text;
      for (const [authorization, challenge] of [
        [undefined, /^Bearer realm="emp"$/],
        ['', /^Bearer realm="emp"$/],
        [`Basic ${btoa(`:${KEYS[scope].text}`)}`, /^Bearer realm="emp"$/],
        [`Bearer ${wrong}`, /error="invalid_token"/],
        [`Bearer ${KEYS[scope].text.slice(0, -1)}`, /error="invalid_token"/],
      ] as const) {
        const response = await ask(operation, authorization);
        assert.equal(response.status, 401, authorization);
        assert.match(response.headers.get('www-authenticate') ?? '', challenge);
        assert.equal((await readProblem(response)).code, 'unauthorized');
      }
      for (const other of SCOPES) {
        const response = await ask(operation, `bearer ${KEYS[other].text}`);
        if (other === scope) assert.ok(!REFUSED.includes(response.status), `${response.status}`);
        else {
          assert.equal(response.status, 403);
          assert.match(response.headers.get('www-authenticate') ?? '', new RegExp(`scope="${scope}"`));
          assert.match(
            (await readProblem(response)).detail,
            new RegExp(`allows ${other}, and this needs ${scope}`),
          );
        }
      }
    });
  }

  test('shows its page and its documentation to everyone', async () => {
    for (const path of ['/', '/docs/', '/openapi.json', '/examples/fc2-mnist.onnx', '/docs/static/index.css'])
      assert.equal((await app.fetch(path)).status, 200, path);
    assert.equal((await app.fetch('/nowhere')).status, 404);
  });

  test('reads nothing of a body that it refuses, and leaves nothing', async () => {
    const form = new FormData();
    form.append('file', new Blob([new Uint8Array(1000)]), 'model.onnx');
    assert.equal((await app.fetch('/v1/models', { method: 'POST', body: form })).status, 401);
    assert.deepEqual(await app.leftOver(), []);
  });
});

test('a route that says no scope cannot be registered', async () => {
  const { app, close } = await openTestApp();
  await close();
  const other = await createApp({
    ...({} as Parameters<typeof createApp>[0]),
    log: app.log,
    maxUploadBytes: 0,
    maxJsonBytes: 0,
  });
  assert.throws(
    () => other.get('/v1/secrets', async () => 'all of them'),
    /GET \/v1\/secrets does not say by which scope/,
  );
  await other.close();
});
