import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { exportJWK, exportSPKI, importJWK, type JWK } from 'jose';
import { createKey, KeyRing } from '../../src/access/api-keys.ts';
import { TokenIssuer } from '../../src/access/token-issuer.ts';
import type { TokenSettings } from '../../src/access/token-settings.ts';
import { keysOrTokens, Tokens } from '../../src/access/tokens.ts';
import { EmpError } from '../../src/core/errors.ts';
import { AUDIENCE, createSigningKey, githubClaims, openTestIssuer, type TestIssuer } from './test-issuer.ts';

const SHORT_KEY = await createShortKey();
const ACME = { tenant: 'acme', scope: 'read write' };

/** A service that takes the tokens of an issuer. */
function open(issuer: TestIssuer, settings: Partial<TokenSettings> = {}, cooldownMs = 0) {
  const errors: unknown[] = [];
  const asked = new TokenIssuer({ url: issuer.url, cooldownMs, onError: (error) => errors.push(error) });
  const rules = { tenantClaim: 'tenant', scopeClaim: 'scope', scopes: [], tenants: null };
  const all = { issuer: issuer.url, audience: AUDIENCE, ...rules, ...settings };
  return { tokens: new Tokens(asked, all), asked, errors };
}

async function refused(finding: Promise<unknown>): Promise<{ code: string; message: string }> {
  try {
    await finding;
  } catch (error) {
    if (error instanceof EmpError) return error;
    throw error;
  }
  assert.fail('was let in');
}

const secondsFromNow = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;

describe('a token', () => {
  for (const alg of ['RS256', 'PS384', 'ES256', 'EdDSA'])
    test(`signed with ${alg} says who sends it, for whom, and what that allows`, async (t) => {
      const issuer = await openTestIssuer(t);
      const key = await createSigningKey('other', alg);
      issuer.published.push(key.publicJwk);
      const caller = await open(issuer).tokens.find(await issuer.sign({ ...ACME, sub: 'build' }, key));
      assert.deepEqual(caller, { name: 'build', tenant: 'acme', scopes: ['read', 'write'] });
    });

  test('is found among others for this service, and told by its kind', async (t) => {
    const issuer = await openTestIssuer(t);
    const { tokens } = open(issuer);
    const several = await issuer.sign({ ...ACME, aud: ['https://other.example.com', AUDIENCE] });
    assert.equal((await tokens.find(several)).tenant, 'acme');
    for (const typ of ['JWT', 'at+jwt', 'application/at+jwt', undefined])
      assert.equal((await tokens.find(await issuer.sign(ACME, issuer.key, { typ }))).tenant, 'acme');
    // What an issuer sends to say that somebody has left.
    const logout = await issuer.sign(ACME, issuer.key, { typ: 'logout+jwt' });
    assert.match((await refused(tokens.find(logout))).message, /of a kind that lets nobody in/);
  });

  test('of an hour ago counts no more; clocks may differ by half a minute', async (t) => {
    const issuer = await openTestIssuer(t);
    const { tokens } = open(issuer);
    for (const claims of [{ exp: secondsFromNow(-20) }, { nbf: secondsFromNow(20) }])
      assert.equal((await tokens.find(await issuer.sign({ ...ACME, ...claims }))).tenant, 'acme');
    for (const [claims, message] of [
      [{ exp: secondsFromNow(-40) }, /has expired: get a new one/],
      [{ nbf: secondsFromNow(60) }, /not valid yet/],
      [{ exp: undefined }, /the claim exp of this token is missing/],
      [{ exp: '2999-01-01' }, /the claim exp of this token is missing, or of the wrong type/],
      [{ sub: undefined }, /the claim sub of this token is missing/],
      [{ aud: 'https://other.example.com' }, /is for another audience/],
      [{ aud: undefined }, /the claim aud of this token is missing/],
    ] as const) {
      const error = await refused(tokens.find(await issuer.sign({ ...ACME, ...claims })));
      assert.equal(error.code, 'unauthorized');
      assert.match(error.message, message);
      assert.ok(!error.message.includes(AUDIENCE));
    }
  });

  test('that the issuer has not signed lets nobody in, and is not told why', async (t) => {
    const issuer = await openTestIssuer(t);
    const { tokens } = open(issuer);
    const good = await issuer.sign(ACME);
    const [head, body, signature] = good.split('.');
    const base64 = (json: object) => Buffer.from(JSON.stringify(json)).toString('base64url');
    const stranger = await createSigningKey(issuer.key.kid);
    const publicKey = await importJWK(issuer.key.publicJwk, 'RS256', { extractable: true });
    const pem = new TextEncoder().encode(await exportSPKI(publicKey as never));
    const symmetric = { alg: 'HS256', kid: issuer.key.kid, privateKey: pem };
    const messages = new Set<string>();
    for (const [what, text] of Object.entries({
      'another key of the same name': await issuer.sign(ACME, stranger),
      'a key that the issuer does not have': await issuer.sign(ACME, { ...stranger, kid: 'nobody' }),
      'a key that comes along': await issuer.sign(ACME, stranger, { jwk: stranger.publicJwk }),
      'the public key as a secret': await issuer.sign(ACME, symmetric),
      'another issuer': await issuer.sign({ ...ACME, iss: `${issuer.url}/` }),
      'no issuer': await issuer.sign({ ...ACME, iss: undefined }),
      'no signature': `${base64({ alg: 'none', kid: issuer.key.kid })}.${body}.`,
      'a signature cut off': `${head}.${body}.`,
      'a signature of something else': `${head}.${base64({ iss: issuer.url, ...ACME, aud: AUDIENCE, exp: 1e10 })}.${signature}`,
      'an algorithm that is none': `${base64({ alg: 'toString', kid: issuer.key.kid })}.${body}.${signature}`,
      'no JSON': `${head}.${Buffer.from('{').toString('base64url')}.${signature}`,
      'no base64': '?.?.?',
      nothing: '..',
    })) {
      const error = await refused(tokens.find(text));
      assert.equal(error.code, 'unauthorized', what);
      messages.add(error.message);
    }
    assert.equal(messages.size, 1, [...messages].join());
    for (const text of ['', 'a.b', `${good}.a`, `${good}.a.b`])
      assert.match((await refused(tokens.find(text))).message, /neither a key nor a token/);
    assert.equal((await tokens.find(good)).tenant, 'acme');
  });

  test('is named by its subject, shortened', async (t) => {
    const issuer = await openTestIssuer(t);
    const { name } = await open(issuer).tokens.find(await issuer.sign({ ...ACME, sub: 'a'.repeat(10_000) }));
    assert.ok(name.length <= 100 && name.startsWith('aaaa'), name);
  });
});

describe('the claims of a token', () => {
  test('name its tenant to the letter', async (t) => {
    const issuer = await openTestIssuer(t);
    const { tokens } = open(issuer, { tenantClaim: 'https://emp.example.com/org' });
    const find = async (value: unknown) =>
      tokens.find(await issuer.sign({ scope: 'read', 'https://emp.example.com/org': value }));
    assert.equal((await find('0-acme')).tenant, '0-acme');
    for (const [value, message] of [
      [undefined, /has no claim https:\/\/emp\.example\.com\/org, which would name its tenant/],
      ['Acme', /"Acme", names no tenant: it must be 1 to 63 lower-case letters, digits and dashes/],
      ['', /"", names no tenant/],
      ['acme ', /"acme ", names no tenant/],
      ['ácme', /names no tenant/],
      ['../acme', /names no tenant/],
      [['acme'], /\["acme"\], names no tenant: it must be a string/],
      [65, /65, names no tenant: it must be a string/],
      [null, /null, names no tenant: it must be a string/],
      ['A'.repeat(10_000), /names no tenant/],
    ] as const) {
      const error = await refused(find(value));
      assert.equal(error.code, 'forbidden');
      assert.match(error.message, message);
      assert.ok(error.message.length < 400);
    }
  });

  test('name what it allows, in words or a list; what is of other services is passed over', async (t) => {
    const issuer = await openTestIssuer(t);
    const { tokens } = open(issuer, { scopeClaim: 'permissions' });
    const find = async (permissions: unknown) =>
      tokens.find(await issuer.sign({ tenant: 'acme', permissions, scope: 'admin' }));
    for (const [value, scopes] of [
      ['read', ['read']],
      ['openid write  read profile', ['read', 'write']],
      ['emp:read other:write emp:admin', ['read', 'admin']],
      [
        ['write', 'emp:admin', 7, null],
        ['write', 'admin'],
      ],
    ] as const)
      assert.deepEqual((await find(value)).scopes, scopes);
    for (const value of [
      '',
      'openid',
      'READ',
      'read,write',
      'emp:emp:read',
      [],
      ['read write'],
      { read: true },
      7,
      null,
    ]) {
      const error = await refused(find(value));
      assert.equal(error.code, 'forbidden');
      assert.match(
        error.message,
        /must allow read, write, admin.* has none of these in its claim permissions/,
      );
    }
    assert.match((await refused(find(undefined))).message, /this has no claim permissions/);
  });

  test('of GitHub Actions are enough, where a deployment says what they allow, and to whom', async (t) => {
    const issuer = await openTestIssuer(t);
    const text = await issuer.sign(githubClaims());
    const github = { tenantClaim: 'repository_owner_id', scopes: ['read', 'write'] } as const;
    const { tokens } = open(issuer, { ...github, tenants: ['12', '65'] });
    assert.deepEqual(await tokens.find(text), {
      name: 'repo:Octo-Org/octo-repo:ref:refs/heads/main',
      tenant: '65',
      scopes: ['read', 'write'],
    });
    for (const [settings, message] of [
      [{ ...github, tenants: ['12'] }, /"65", is none that this service lets in/],
      [{ ...github, scopes: [] }, /has no claim scope/],
      // Names change hands, and are told apart without regard to case: nothing here does that.
      [
        { ...github, tenantClaim: 'repository_owner' },
        /the claim repository_owner of this token, "Octo-Org"/,
      ],
      [{ ...github, tenantClaim: 'tenant' }, /has no claim tenant/],
    ] as const) {
      const error = await refused(open(issuer, settings).tokens.find(text));
      assert.equal(error.code, 'forbidden');
      assert.match(error.message, message);
    }
    // What the issuer says is not added to.
    const said = await tokens.find(await issuer.sign({ ...githubClaims(), scope: 'read' }));
    assert.deepEqual(said.scopes, ['read']);
  });
});

describe('an issuer', () => {
  test('is asked once, whoever comes', async (t) => {
    const issuer = await openTestIssuer(t);
    const { tokens } = open(issuer, {}, 30_000);
    const text = await issuer.sign(ACME);
    await Promise.all(Array.from({ length: 20 }, () => tokens.find(text)));
    const stranger = await createSigningKey('nobody');
    const strange = await issuer.sign(ACME, stranger);
    for (let i = 0; i < 20; i++) await refused(tokens.find(strange));
    // Nor for what is not even said to be of it, or signed by what it does not publish keys for.
    await refused(tokens.find(await issuer.sign({ ...ACME, iss: 'https://other.example.com' })));
    assert.deepEqual(issuer.asked, ['/.well-known/openid-configuration', '/keys']);
  });

  for (const [what, change, asked] of [
    [
      'whose description cannot be used',
      { description: { jwks_uri: undefined } },
      ['/.well-known/openid-configuration'],
    ],
    [
      'whose keys cannot be used',
      { published: 'none' as never },
      ['/.well-known/openid-configuration', '/keys'],
    ],
  ] as const)
    test(`${what} is not asked again for each token`, async (t) => {
      const issuer = await openTestIssuer(t);
      Object.assign(issuer, change);
      const { tokens, errors } = open(issuer, {}, 30_000);
      const stranger = await createSigningKey('nobody');
      const texts = await Promise.all(
        Array.from({ length: 20 }, (_, i) => issuer.sign(ACME, { ...stranger, kid: `key-${i}` })),
      );
      for (const text of texts.slice(10)) assert.equal((await refused(tokens.find(text))).code, 'not_ready');
      const codes = await Promise.all(texts.map(async (text) => (await refused(tokens.find(text))).code));
      assert.deepEqual(new Set(codes), new Set(['not_ready']));
      assert.deepEqual(issuer.asked, asked);
      assert.equal(errors.length, 1);
    });

  test('that went away is still believed for what it has said, whoever names another key', async (t) => {
    const issuer = await openTestIssuer(t);
    const cooldownMs = 1000;
    const { tokens } = open(issuer, {}, cooldownMs);
    const text = await issuer.sign(ACME);
    assert.equal((await tokens.find(text)).tenant, 'acme');
    const other = await createSigningKey('second');
    issuer.published.push(other.publicJwk);
    const next = await issuer.sign(ACME, other);
    await issuer.close();
    // A token's own key is looked for once the last look is that long ago.
    await sleep(cooldownMs);
    for (let i = 0; i < 3; i++) {
      assert.equal((await refused(tokens.find(next))).code, 'not_ready');
      assert.equal((await tokens.find(text)).tenant, 'acme');
      const forged = await issuer.sign(ACME, { ...other, kid: issuer.key.kid });
      assert.equal((await refused(tokens.find(forged))).code, 'unauthorized');
    }
    // Also by whoever has it asked again.
    await sleep(cooldownMs);
    assert.equal((await tokens.find(text)).tenant, 'acme');
    await issuer.open();
    await sleep(cooldownMs);
    assert.equal((await tokens.find(next)).tenant, 'acme');
  });

  test('changes its keys: new ones are found, and those taken back count no more', async (t) => {
    const issuer = await openTestIssuer(t);
    const { tokens } = open(issuer);
    const old = await issuer.sign(ACME);
    assert.equal((await tokens.find(old)).tenant, 'acme');
    const key = await createSigningKey('second', 'ES256');
    issuer.published = [key.publicJwk];
    assert.equal((await tokens.find(await issuer.sign(ACME, key))).tenant, 'acme');
    assert.equal((await refused(tokens.find(old))).code, 'unauthorized');
  });

  test('that is away lets nobody in, and everyone once it is back', async (t) => {
    const issuer = await openTestIssuer(t);
    const { tokens, asked, errors } = open(issuer);
    const text = await issuer.sign(ACME);
    await issuer.close();
    await asked.warm();
    assert.equal(errors.length, 1);
    const error = await refused(tokens.find(text));
    assert.equal(error.code, 'not_ready');
    assert.ok(!error.message.includes(issuer.url));
    assert.equal(errors.length, 2);
    await issuer.open();
    assert.equal((await tokens.find(text)).tenant, 'acme');
    // What it has said stays known for a while.
    await issuer.close();
    assert.equal((await tokens.find(text)).tenant, 'acme');
    const other = await createSigningKey('second');
    assert.equal((await refused(tokens.find(await issuer.sign(ACME, other)))).code, 'not_ready');
  });

  for (const [what, description, message] of [
    [
      'is another',
      { issuer: 'https://other.example.com' },
      /is of the issuer "https:\/\/other\.example\.com"/,
    ],
    ['says nothing of keys', { jwks_uri: undefined }, /jwks_uri/],
    ['has its keys where others could change them', { jwks_uri: 'http://192.0.2.1/keys' }, /https/],
  ] as const)
    test(`that ${what} lets nobody in`, async (t) => {
      const issuer = await openTestIssuer(t);
      issuer.description = description;
      const { tokens, errors } = open(issuer);
      assert.equal((await refused(tokens.find(await issuer.sign(ACME)))).code, 'not_ready');
      assert.match(String(errors[0]), message);
      // It is asked again, and so what was mended counts.
      issuer.description = {};
      assert.equal((await tokens.find(await issuer.sign(ACME))).tenant, 'acme');
    });

  for (const [what, change, message] of [
    ['nothing where its keys are', { description: { jwks_uri: 'https://127.0.0.1:1/keys' } }, /fetch failed/],
    ['something else for its keys', { published: 'none' as never }, /malformed/],
    ['a key that can be broken', { published: [SHORT_KEY] }, /a key of 1024 bits: 2048 are needed/],
  ] as const)
    test(`that has ${what} lets nobody in`, async (t) => {
      const issuer = await openTestIssuer(t);
      Object.assign(issuer, change);
      const { tokens, errors } = open(issuer);
      assert.equal((await refused(tokens.find(await issuer.sign(ACME)))).code, 'not_ready');
      assert.match(String(errors[0]), message);
    });
});

test('a service takes keys and tokens, or the one of them that it has', async (t) => {
  const issuer = await openTestIssuer(t);
  const { tokens } = open(issuer);
  const { text: key, stored } = createKey({ name: 'ops', tenant: null, scopes: ['admin'] });
  const token = await issuer.sign(ACME);
  const both = keysOrTokens(new KeyRing([stored]), tokens);
  assert.deepEqual([(await both.find(key))?.name, (await both.find(token))?.name], ['ops', 'ci']);
  assert.equal(await both.find(`${key}a`), null);
  const alone = keysOrTokens(null, tokens);
  assert.equal((await alone.find(token))?.name, 'ci');
  assert.match((await refused(alone.find(key) as Promise<unknown>)).message, /takes no keys: send a token/);
});

async function createShortKey(): Promise<JWK> {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  return { ...(await exportJWK(publicKey)), kid: 'first', alg: 'RS256', use: 'sig' };
}
