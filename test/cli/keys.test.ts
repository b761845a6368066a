import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readBaseUrl } from '../../scripts/start-server.ts';
import { startRedis } from '../services/redis.ts';
import { openEmpHere } from './emp-here.ts';
import { ended, MODEL, openPlace } from './run-emp.ts';

const WITHIN_MS = 20_000;

describe('emp keys', () => {
  const emp = openEmpHere();

  test('makes keys that a service takes, until they are removed', { timeout: 100_000 }, async (t) => {
    const place = await openPlace(t);
    const file = join(place.path, 'keys.json');
    const reader = await place.emp(
      'keys',
      'add',
      'ci',
      '--tenant',
      'acme',
      '--scope',
      'read',
      '--file',
      file,
    );
    assert.equal(reader.code, 0, reader.stderr);
    const key = /^(emp_\S+)\n$/.exec(reader.stdout)?.[1] ?? assert.fail(reader.stdout);
    const useless = ['keys', 'add', 'x', '--tenant', 'acme', '--scope', 'read,admin', '--file', file];
    assert.match((await emp(place, ...useless)).stderr, /^emp: --scope admin is of the service itself/);
    const listed = await emp(place, 'keys', 'list', '--file', file);
    assert.match(listed.stdout, /^ +ci +acme +read +\d{4}-/m);
    assert.ok(!listed.stdout.includes(key));

    const redis = await startRedis();
    t.after(() => redis.stop());
    const env = {
      ...{ PORT: '0', DATA_DIR: join(place.path, 'data'), LOG_LEVEL: 'warn' },
      ...{ API_KEYS_FILE: file, REDIS_URL: redis.url },
    };
    const service = place.start(['serve'], { env });
    const url = await readBaseUrl(service);
    const inspect = async (EMP_API_KEY: string) =>
      await ended(place.start(['inspect', MODEL, '--server', url], { env: { EMP_API_KEY } }));
    const without = await inspect('');
    assert.deepEqual([without.code, without.stdout], [2, '']);
    assert.match(without.stderr, /^emp: this needs a key.*EMP_API_KEY\)$/m);
    // To inspect a model is to upload it.
    assert.match((await inspect(key)).stderr, /^emp: key ci allows read, and this needs write/);
    const health = await fetch(`${url}/v1/jobs`, { headers: { authorization: `Bearer ${key}` } });
    assert.equal(health.status, 200);
    assert.equal((await emp(place, 'keys', 'remove', 'ci', '--file', file)).code, 0);
    const writer = await emp(place, 'keys', 'add', 'ci', '--file', file);
    const next = writer.stdout.trim();
    assert.match((await emp(place, 'keys', 'list', '--file', file)).stdout, /^ +ci +- +read, write +\d{4}-/m);
    const takes = async (text: string) =>
      (await fetch(`${url}/v1/jobs`, { headers: { authorization: `Bearer ${text}` } })).status === 200;
    for (const deadline = Date.now() + WITHIN_MS; !(await takes(next)); await sleep(100))
      assert.ok(Date.now() < deadline);
    assert.equal(await takes(key), false);
    const inspected = await inspect(next);
    assert.equal(inspected.code, 0, inspected.stderr);
    const end = once(service, 'exit');
    service.kill('SIGTERM');
    assert.deepEqual(await end, [0, null]);
  });

  for (const [what, args, said] of [
    ['no file', ['add', 'ci'], /required option '--file <file>' not specified/],
    [
      'a scope that is none',
      ['add', 'ci', '--scope', 'all', '--file', 'k'],
      /--scope "all" is none of read, write, admin/,
    ],
    ['a name that is none', ['add', 'a b', '--file', 'k'], /"a b" must be of letters/],
    [
      'a tenant that cannot be one',
      ['add', 'ci', '--tenant', 'Acme', '--file', 'k'],
      /^emp: the tenant "Acme" must be 1 to 63 lower-case letters, digits and dashes/,
    ],
    ['a file that is not there', ['list', '--file', 'k'], /^emp: cannot use k: it is not there/],
    ['a file of something else', ['list', '--file', MODEL], /^emp: .*fc2-mnist\.onnx is no JSON/],
  ] as const)
    test(`ends with 2 and its reason: ${what}`, async (t) => {
      const place = await openPlace(t);
      const { code, stderr } = await emp(place, 'keys', ...args);
      assert.equal(code, 2);
      assert.match(stderr, said);
      assert.deepEqual(await place.files(), []);
    });
});
