import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parseEnv } from 'node:util';
import { ConfigError, parseConfig, SETTINGS } from '../src/config.ts';

const TOKENS = { OIDC_ISSUER: 'https://login.example.com', OIDC_AUDIENCE: 'emp' };

describe('config', () => {
  const example = parseEnv(readFileSync(new URL('../.env.example', import.meta.url), 'utf8'));

  test('.env.example lists every setting with its default', () => {
    assert.deepEqual(Object.keys(example).sort(), [...SETTINGS].sort());
    assert.deepEqual(parseConfig(example), parseConfig({}));
  });

  test('values are typed', () => {
    const config = parseConfig({ PORT: '0', REDIS_URL: 'redis://localhost:6379/1', WORKER_CONCURRENCY: '3' });
    assert.equal(config.port, 0);
    assert.equal(config.redisUrl, 'redis://localhost:6379/1');
    assert.equal(config.workerConcurrency, 3);
  });

  test('execution providers are a list in order of preference', () => {
    const providersOf = (text: string) => parseConfig({ EXECUTION_PROVIDERS: text }).executionProviders;
    assert.deepEqual(providersOf(''), ['cpu']);
    assert.deepEqual(providersOf('cuda'), ['cuda']);
    assert.deepEqual(providersOf('cuda, cpu'), ['cuda', 'cpu']);
  });

  test('allowed hosts are a list of names and addresses', () => {
    const { allowedHosts } = parseConfig({ ALLOWED_HOSTS: 'api, Emp_1.example.com.,10.0.0.1,::1,[fe80::1]' });
    assert.deepEqual(allowedHosts, ['api', 'Emp_1.example.com.', '10.0.0.1', '::1', '[fe80::1]']);
    assert.deepEqual(parseConfig({ ALLOWED_HOSTS: '' }).allowedHosts, []);
  });

  test('hosts that webhooks may go to are a list of names, addresses and ranges', () => {
    const { webhookAllowedHosts } = parseConfig({ WEBHOOK_ALLOWED_HOSTS: 'hooks.internal, 10.0.0.0/8,::1' });
    assert.deepEqual(webhookAllowedHosts, ['hooks.internal', '10.0.0.0/8', '::1']);
    assert.deepEqual(parseConfig({ WEBHOOK_ALLOWED_HOSTS: '' }).webhookAllowedHosts, []);
    assert.throws(() => parseConfig({ WEBHOOK_ALLOWED_HOSTS: 'http://a' }), ConfigError);
  });

  test('tokens are of an issuer; what they say stands in claims', () => {
    const issuer = { OIDC_ISSUER: 'https://login.example.com/realms/one', OIDC_AUDIENCE: 'emp' };
    const tokens = {
      issuer: issuer.OIDC_ISSUER,
      audience: 'emp',
      tenantClaim: 'tenant',
      scopeClaim: 'scope',
    };
    assert.equal(parseConfig({}).tokens, undefined);
    assert.deepEqual(parseConfig(issuer).tokens, { ...tokens, scopes: [], tenants: null });
    const given = { OIDC_TENANT_CLAIM: 'org', OIDC_SCOPE_CLAIM: 'scp', OIDC_SCOPES: 'read, write' };
    assert.deepEqual(parseConfig({ ...issuer, ...given, OIDC_TENANTS: 'acme,65' }).tokens, {
      ...tokens,
      tenantClaim: 'org',
      scopeClaim: 'scp',
      scopes: ['read', 'write'],
      tenants: ['acme', '65'],
    });
    assert.equal(parseConfig({ ...issuer, ...given, OIDC_TENANTS: '*' }).tokens?.tenants, null);
    for (const OIDC_ISSUER of ['http://localhost:8080', 'http://127.0.0.1', 'http://[::1]:80'])
      assert.equal(parseConfig({ ...issuer, OIDC_ISSUER }).tokens?.issuer, OIDC_ISSUER);
  });

  const wrong: [Record<string, string>, RegExp][] = [
    [{ PORT: 'http' }, /^PORT="http" must be a whole number from 0 to 65535$/],
    [{ PORT: '65536' }, /^PORT="65536" must be a whole number from 0 to 65535$/],
    [{ PORT: '-1' }, /^PORT="-1" must be/],
    [{ MAX_UPLOAD_BYTES: '1e9' }, /^MAX_UPLOAD_BYTES="1e9" must be a whole number/],
    [{ WORKER_CONCURRENCY: '0' }, /^WORKER_CONCURRENCY="0" must be a whole number from 1 to 64$/],
    [
      { EXECUTION_PROVIDERS: 'gpu' },
      /^EXECUTION_PROVIDERS="gpu" must list one or more of cpu, cuda, each once/,
    ],
    [{ EXECUTION_PROVIDERS: 'CPU,tpu' }, /^EXECUTION_PROVIDERS="CPU,tpu" must list [^;]*$/],
    [{ EXECUTION_PROVIDERS: 'cuda,cuda' }, /^EXECUTION_PROVIDERS="cuda,cuda" must list .*each once/],
    [{ EXECUTION_PROVIDERS: 'cuda,' }, /^EXECUTION_PROVIDERS="cuda," must list/],
    [
      { ALLOWED_HOSTS: 'api:3000' },
      /^ALLOWED_HOSTS="api:3000" must list names or addresses of hosts, without/,
    ],
    [{ ALLOWED_HOSTS: 'a.b:3000' }, /^ALLOWED_HOSTS="a.b:3000" must list .*without ports/],
    [{ ALLOWED_HOSTS: '10.0.0.7:8080' }, /^ALLOWED_HOSTS="10.0.0.7:8080" must list .*without ports/],
    [{ ALLOWED_HOSTS: 'api,[::1]:80' }, /^ALLOWED_HOSTS="api,\[::1\]:80" must list .*without ports/],
    [{ ALLOWED_HOSTS: 'bed:3000' }, /^ALLOWED_HOSTS="bed:3000" must list/],
    [{ ALLOWED_HOSTS: '[api]' }, /^ALLOWED_HOSTS="\[api\]" must list/],
    [{ ALLOWED_HOSTS: 'http://api' }, /^ALLOWED_HOSTS="http:\/\/api" must list/],
    [{ ALLOWED_HOSTS: 'api,' }, /^ALLOWED_HOSTS="api," must list/],
    [{ MAX_CONNECTIONS: '0' }, /^MAX_CONNECTIONS="0" must be a whole number from 1 to/],
    [{ REQUEST_TIMEOUT_SECONDS: '0.5' }, /^REQUEST_TIMEOUT_SECONDS="0.5" must be a whole number from 1 to/],
    [{ LOG_LEVEL: 'loud' }, /^LOG_LEVEL="loud" must be one of trace, debug, info/],
    [{ REDIS_URL: 'localhost' }, /^REDIS_URL must be a URL that starts with redis:\/\//],
    [{ DATABASE_URL: 'mysql://x' }, /^DATABASE_URL must be a URL that starts with postgres:/],
    [{ OIDC_ISSUER: 'https://a' }, /^OIDC_AUDIENCE must be set beside OIDC_ISSUER/],
    [{ OIDC_ISSUER: 'http://a', OIDC_AUDIENCE: 'emp' }, /^OIDC_ISSUER must be a URL that begins with https:/],
    [{ OIDC_ISSUER: 'https://a?b', OIDC_AUDIENCE: 'emp' }, /^OIDC_ISSUER must be .* without query/],
    [{ OIDC_ISSUER: 'https://a:b@c', OIDC_AUDIENCE: 'emp' }, /^OIDC_ISSUER must be .* or password$/],
    [{ OIDC_AUDIENCE: 'emp' }, /^OIDC_AUDIENCE="emp" is set without OIDC_ISSUER/],
    [{ OIDC_TENANTS: 'acme' }, /^OIDC_TENANTS="acme" is set without OIDC_ISSUER/],
    [{ ...TOKENS, OIDC_SCOPES: 'read' }, /^OIDC_TENANTS must be set beside OIDC_SCOPES: .* \* for all$/],
    [
      { ...TOKENS, OIDC_SCOPES: 'all', OIDC_TENANTS: '*' },
      /^OIDC_SCOPES="all" must list some of read, write/,
    ],
    [{ ...TOKENS, OIDC_TENANTS: 'Acme' }, /^OIDC_TENANTS="Acme" must be 1 to 63 lower-case letters/],
    [{ ...TOKENS, ALLOW_ANONYMOUS: 'true' }, /^ALLOW_ANONYMOUS="true" is set beside OIDC_ISSUER/],
    [{ REDIS_URL: 'redis://a', DATABASE_URL: 'postgres://b' }, /^DATABASE_URL is set beside/],
  ];
  test('a refused URL is not shown: it may hold a password', () => {
    assert.throws(
      () => parseConfig({ REDIS_URL: 'http://user:secret@host' }),
      (error) => error instanceof ConfigError && !error.message.includes('secret'),
    );
  });

  for (const [environment, message] of wrong) {
    test(`refuses ${JSON.stringify(environment)} in one line`, () => {
      assert.throws(
        () => parseConfig(environment),
        (error) =>
          error instanceof ConfigError && message.test(error.message) && !error.message.includes('\n'),
      );
    });
  }
});
