import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createKey, KeyRing } from '../../src/access/api-keys.ts';
import { type Caller, SCOPES } from '../../src/access/caller.ts';
import { NO_QUOTAS } from '../../src/access/quotas.ts';
import { createBareApp } from './bare-app.ts';
import { type Operation, readOperations } from './operations.ts';
import { openTestApp, readProblem, type TestApp } from './test-app.ts';

const OPERATIONS = (await readOperations()).map(({ path, ...rest }) => ({
  ...rest,
  path: path.replaceAll(/\{\w+\}/g, '0'),
}));
const KEYS = Object.fromEntries(
  SCOPES.map((scope) => [scope, createKey({ name: scope, tenant: null, scopes: [scope] })]),
);
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
      const wrong = createKey({ name: scope, tenant: null, scopes: [scope] }).text;
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

test('routes and the log learn who has asked, and for which tenant', async () => {
  const callers: Caller[] = [
    { name: 'ci', tenant: 'acme', scopes: ['read'] },
    { name: 'ops', tenant: null, scopes: ['read', 'write'] },
  ];
  const keys = callers.map(createKey);
  for (const ring of [new KeyRing(keys.map(({ stored }) => stored)), null]) {
    const lines: Record<string, unknown>[] = [];
    const app = await createBareApp({ ring, onLine: (line) => lines.push(line) });
    app.get('/who', { config: { scope: 'read' } }, async ({ caller }) => ({ caller }));
    app.get('/whoever', { config: { scope: 'public' } }, async ({ caller }) => ({ caller }));
    app.post('/who', { config: { scope: 'write' } }, async () => ({}));
    const ask = async (method: 'GET' | 'POST', url: string, key: string) =>
      (await app.inject({ method, url, headers: { authorization: `Bearer ${key}` } })).json();
    for (const [i, { text }] of keys.entries()) {
      assert.deepEqual((await ask('GET', '/who', text)).caller, ring && callers[i]);
      assert.equal((await ask('GET', '/whoever', text)).caller, null);
    }
    // Whoever is refused is told in the log as well.
    await ask('POST', '/who', keys[0].text);
    const logged = (i: number) => ring && [callers[i].name, callers[i].tenant];
    assert.deepEqual(
      lines.map(({ key, tenant }) => (key === undefined ? null : [key, tenant])),
      [logged(0), null, logged(1), null, logged(0)],
    );
    await app.close();
  }
});

test('what a key does not allow counts among its requests, what is of nobody for no key', async (t) => {
  const [reader, writer] = (['read', 'write'] as const).map((scope) =>
    createKey({ name: scope, tenant: 'acme', scopes: [scope] }),
  );
  const limit = 5;
  const quotas = { of: (tenant: string | null) => ({ ...NO_QUOTAS.of(tenant), requests_per_minute: limit }) };
  const app = await openTestApp({ keys: new KeyRing([reader.stored, writer.stored]), quotas });
  t.after(() => app.close());
  const post = (key: string, path = '/v1/webhook-secrets') =>
    app.fetch(path, { method: 'POST', headers: { authorization: `Bearer ${key}` } });
  const stranger = createKey({ name: 'read', tenant: 'acme', scopes: ['read'] }).text;
  for (let i = 0; i < 2 * limit; i++) {
    assert.equal((await post(stranger)).status, 401);
    assert.equal((await post(reader.text, '/v1/nowhere')).status, 404);
  }
  for (let i = 1; i <= limit; i++) {
    const { status, headers } = await post(reader.text);
    assert.deepEqual([status, headers.get('ratelimit-remaining')], [403, `${limit - i}`]);
  }
  const refused = await post(reader.text);
  assert.equal(refused.status, 429);
  assert.match(refused.headers.get('retry-after') ?? '', /^\d+$/);
  assert.equal((await readProblem(refused)).code, 'rate_limited');
  const reading = { headers: { authorization: `Bearer ${reader.text}` } };
  assert.equal((await app.fetch('/v1/models', reading)).status, 429);
  assert.equal((await app.fetch('/healthz', reading)).status, 200);
  assert.equal((await post(writer.text)).status, 201);
});

test('a route that says no scope cannot be registered', async () => {
  const other = await createBareApp({ ring: null, onLine: () => {} });
  assert.throws(
    () => other.get('/v1/secrets', async () => 'all of them'),
    /GET \/v1\/secrets does not say by which scope/,
  );
  await other.close();
});
