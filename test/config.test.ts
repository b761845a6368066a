import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parseEnv } from 'node:util';
import { ConfigError, parseConfig, SETTINGS } from '../src/config.ts';

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
