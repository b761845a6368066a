import assert from 'node:assert/strict';
import { glob, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isUnit, readTestFiles, SERVICES, SLOW } from '../../scripts/test-files.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Files of `test/services` that start nothing by themselves. */
const SHARED_BY_SERVICES = [
  'test/services/fill-disk.ts',
  'test/services/free-port.ts',
  'test/services/service.ts',
  'test/services/small-disk.ts',
];

/** A tree of its own; resolves to what is found of its one test file. */
async function readPlanted(t: TestContext, files: Readonly<Record<string, string>>) {
  const directory = await mkdtemp(join(tmpdir(), 'emp-test-files-'));
  t.after(() => rm(directory, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text);
  }
  const [file] = await readTestFiles(directory);
  return file;
}

describe('the choice of tests', () => {
  test('takes every test file, and knows every service', async () => {
    const files = await readTestFiles(ROOT);
    const paths = await Array.fromAsync(glob('test/**/*.test.ts', { cwd: ROOT }));
    assert.deepEqual(
      files.map(({ path }) => path),
      paths.sort(),
    );
    const services = await Array.fromAsync(glob('test/services/*.ts', { cwd: ROOT }));
    assert.deepEqual([...Object.keys(SERVICES), ...SHARED_BY_SERVICES].sort(), services.sort());
  });

  test('lists as slow only files that exist, and leaves most files to the unit tests', async () => {
    const files = await readTestFiles(ROOT);
    assert.deepEqual(
      SLOW.filter((path) => !files.some((file) => file.path === path)),
      [],
    );
    const units = files.filter(isUnit);
    assert.ok(units.length > files.length * 0.6, `${units.length} of ${files.length}`);
    assert.deepEqual(
      units.filter(({ needs }) => needs.length > 0),
      [],
    );
  });

  test('sees that a file is a unit test', async (t) => {
    const file = await readPlanted(t, {
      'test/one.test.ts': "import { two } from '../src/two.ts';\n",
      'src/two.ts': "import { spawn } from 'node:child_process';\n",
    });
    assert.deepEqual([file.path, file.needs, isUnit(file)], ['test/one.test.ts', [], true]);
  });

  const planted: Record<string, { files: Record<string, string>; needs: string[] }> = {
    'that starts a service': {
      files: { 'test/one.test.ts': "import { startRedis } from './services/redis.ts';\n" },
      needs: ['redis-server'],
    },
    'that starts services through others': {
      files: {
        'test/one.test.ts': "import { two } from './deep/two.ts';\n",
        'test/deep/two.ts': "export * from './three.ts';\nexport { four } from '../services/chromium.ts';\n",
        'test/deep/three.ts': "import '../services/postgres.ts';\n",
      },
      needs: ['chromium', 'postgresql'],
    },
    'that starts a process': {
      files: { 'test/one.test.ts': "import { spawn } from 'node:child_process';\n" },
      needs: [],
    },
    'that starts a process by a script': {
      files: {
        'test/one.test.ts': "import { two } from '../scripts/two.ts';\n",
        'scripts/two.ts': "import { spawn } from 'node:child_process';\n",
      },
      needs: [],
    },
    "that looks at Linux's processes": {
      files: { 'test/one.test.ts': 'const text = await readFile(`/proc/$' + '{pid}/cmdline`);\n' },
      needs: [],
    },
  };
  for (const [what, { files, needs }] of Object.entries(planted)) {
    test(`sees that a file ${what} is none`, async (t) => {
      const file = await readPlanted(t, files);
      assert.deepEqual([file.needs, isUnit(file)], [needs, false]);
    });
  }
});
