import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SCRIPTS = [
  'run-tests.ts',
  'test-files.ts',
  'imports.ts',
  'share-compiled-code.cts',
  'install-test-services.sh',
];
const FILES = {
  'package.json': '{ "type": "module" }\n',
  'test/services/redis.ts': "throw new Error('redis-server does not run');\n",
  'test/plain.test.ts': "import { test } from 'node:test';\n\ntest('a plain one', () => {});\n",
  'test/golden/far.test.ts': "import { test } from 'node:test';\n\ntest('a golden one', () => {});\n",
  'test/hostile/far.test.ts': "import { test } from 'node:test';\n\ntest('a hostile one', () => {});\n",
  'test/redis.test.ts':
    "import { test } from 'node:test';\nimport './services/redis.ts';\n\ntest('one with Redis', () => {});\n",
};

describe('on a machine that lacks a server, and the means to install one', () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'emp-run-tests-'));
    for (const name of SCRIPTS)
      await cp(join(ROOT, 'scripts', name), join(directory, 'scripts', name), { recursive: true });
    for (const [path, text] of Object.entries(FILES)) {
      await mkdir(dirname(join(directory, path)), { recursive: true });
      await writeFile(join(directory, path), text);
    }
    await mkdir(join(directory, 'bin'));
    const bash = spawnSync('bash', ['-c', 'command -v bash'], { encoding: 'utf8' }).stdout.trim();
    await symlink(bash, join(directory, 'bin/bash'));
  });
  after(() => rm(directory, { recursive: true }));

  function runTests(args: readonly string[], environment: Readonly<Record<string, string>>) {
    return new Promise<{ code: number; output: string }>((resolve) => {
      execFile(
        process.execPath,
        [join(directory, 'scripts/run-tests.ts'), ...args],
        // Nothing of this run's: a test runner within another is told to run nothing.
        { env: { PATH: join(directory, 'bin'), ...environment } },
        (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), output: stdout + stderr }),
      );
    });
  }

  test('the other tests run, and the last lines say what did not', async () => {
    const { code, output } = await runTests([], {});
    assert.equal(code, 0, output);
    assert.match(output, /no apt-get to install them with/);
    assert.match(output, /a plain one/);
    assert.doesNotMatch(output, /one with Redis|a golden one|a hostile one/);
    assert.match(
      output,
      /\nNOT RUN: 1 of 2 test files, for this machine lacks redis-server, .*\n {2}test\/redis\.test\.ts\n$/,
    );
  });

  test('in CI that is a failure, and nothing is left out', async () => {
    const { code, output } = await runTests([], { CI: 'true' });
    assert.equal(code, 1, output);
    assert.match(output, /redis-server does not run/);
    assert.match(output, /\nTest files fail here, for this machine lacks redis-server, .*\n$/);
  });

  test('unit tests ask for nothing', async () => {
    const { code, output } = await runTests(['unit'], { CI: 'true' });
    assert.equal(code, 0, output);
    assert.match(output, /a plain one/);
    assert.doesNotMatch(output, /redis|golden/i);
  });

  for (const [name, one, other] of [
    ['goldens', 'a golden one', 'a hostile one'],
    ['hostile', 'a hostile one', 'a golden one'],
  ])
    test(`${name} run by themselves`, async () => {
      const { code, output } = await runTests([name], {});
      assert.equal(code, 0, output);
      assert.ok(output.includes(one), output);
      assert.ok(!output.includes(other), output);
      assert.doesNotMatch(output, /a plain one|redis/i);
    });
});
