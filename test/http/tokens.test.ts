import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { createKey, KeyRing } from '../../src/access/api-keys.ts';
import { keysOrTokens } from '../../src/access/tokens.ts';
import { type Claims, openTestIssuer, type TestIssuer, tokensOf } from '../access/test-issuer.ts';
import { createBareApp } from './bare-app.ts';
import { fileOf, openTestApp, readJson, readProblem, type TestApp } from './test-app.ts';

const MODEL = await readFile(new URL('../../examples/fc2-mnist.onnx', import.meta.url));
const KEY = createKey({ name: 'ops', tenant: null, scopes: ['read'] });

/** A service that takes a key, and the tokens of an issuer. */
async function open(t: TestContext, cooldownMs?: number): Promise<{ issuer: TestIssuer; app: TestApp }> {
  const issuer = await openTestIssuer(t);
  const app = await openTestApp({
    keys: keysOrTokens(new KeyRing([KEY.stored]), tokensOf(issuer, cooldownMs)),
  });
  t.after(() => app.close());
  return { issuer, app };
}

async function ask(app: TestApp, bearer: string | null, method = 'GET') {
  const headers = { ...(bearer !== null && { authorization: `Bearer ${bearer}` }) };
  const response = await app.fetch('/v1/models', { method, headers });
  return { response, challenge: response.headers.get('www-authenticate') };
}

test('a service takes tokens of its issuer beside keys, each by its scopes', async (t) => {
  const { issuer, app } = await open(t);
  const sign = (claims: Claims) => issuer.sign({ tenant: 'acme', scope: 'read', ...claims });
  assert.equal((await ask(app, KEY.text)).response.status, 200);
  assert.equal((await ask(app, await sign({}))).response.status, 200);
  for (const [bearer, method, status, challenge, detail] of [
    [null, 'GET', 401, 'Bearer realm="emp"', /needs a key or a token/],
    ['nobody', 'GET', 401, 'Bearer realm="emp", error="invalid_token"', /neither a key nor a token/],
    [await sign({ exp: 1 }), 'GET', 401, 'Bearer realm="emp", error="invalid_token"', /has expired/],
    [await sign({ tenant: 'Acme' }), 'GET', 403, null, /names no tenant/],
    [await sign({ scope: 'openid' }), 'GET', 403, null, /must allow read, write, admin/],
    [
      await sign({}),
      'POST',
      403,
      'Bearer realm="emp", error="insufficient_scope", scope="write"',
      /^token ci allows read, and this needs write$/,
    ],
  ] as const) {
    const { response, challenge: given } = await ask(app, bearer, method);
    assert.deepEqual([response.status, given], [status, challenge]);
    assert.match((await readProblem(response)).detail, detail);
  }
});

test('a service whose issuer is away tells tokens to come again, and goes on with keys', async (t) => {
  const { issuer, app } = await open(t, 0);
  const token = await issuer.sign({ tenant: 'acme', scope: 'read' });
  await issuer.close();
  const { response, challenge } = await ask(app, token);
  assert.deepEqual([response.status, challenge], [503, null]);
  assert.match(response.headers.get('retry-after') ?? '', /^\d+$/);
  const problem = await readProblem(response);
  assert.equal(problem.code, 'not_ready');
  assert.ok(!JSON.stringify(problem).includes(issuer.url));
  assert.equal((await ask(app, KEY.text)).response.status, 200);
  assert.equal((await app.fetch('/healthz')).status, 200);
  await issuer.open();
  assert.equal((await ask(app, token)).response.status, 200);
});

test('tokens see and use what is stored for the tenant that they name, and nothing else', async (t) => {
  const { issuer, app } = await open(t);
  const form = new FormData();
  form.append('file', fileOf(MODEL), 'model.onnx');
  const send = async (bearer: string, init: RequestInit = {}) => {
    const headers = { authorization: `Bearer ${bearer}` };
    return await readJson(await app.fetch('/v1/models', { ...init, headers }));
  };
  const acme = await issuer.sign({ tenant: 'acme', scope: 'read write' });
  const { id } = await send(acme, { method: 'POST', body: form });
  const seen = [acme, await issuer.sign({ tenant: 'acme-2', scope: 'read write' }), KEY.text];
  const lists: { id: string }[][] = [];
  for (const bearer of seen) lists.push((await send(bearer)).data);
  assert.deepEqual(
    lists.map((list) => list.map((model) => model.id)),
    [[id], [], []],
  );
});

test('routes and the log learn of whom a token is', async (t) => {
  const issuer = await openTestIssuer(t);
  const lines: Record<string, unknown>[] = [];
  const app = await createBareApp({ ring: tokensOf(issuer), onLine: (line) => lines.push(line) });
  t.after(() => app.close());
  app.get('/who', { config: { scope: 'read' } }, async ({ caller }) => ({ caller }));
  const token = await issuer.sign({ tenant: 'acme', scope: 'read', sub: 'build' });
  const answer = await app.inject({ url: '/who', headers: { authorization: `Bearer ${token}` } });
  assert.deepEqual(answer.json().caller, { name: 'build', tenant: 'acme', scopes: ['read'] });
  assert.deepEqual(
    lines.map(({ subject, tenant, key }) => [subject, tenant, key]),
    [['build', 'acme', undefined]],
  );
  assert.ok(!JSON.stringify(lines).includes(token.split('.')[2]));
});
