import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, glob, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BIOME = join(ROOT, 'node_modules/@biomejs/biome/bin/biome');

/** A tree of its own under the repository's configuration. */
async function plant(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'emp-gates-'));
  t.after(() => rm(directory, { recursive: true }));
  for (const name of ['biome.json', '.gitignore', 'package.json'])
    await cp(join(ROOT, name), join(directory, name));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text);
  }
  return directory;
}

function lines(count: number): string {
  return Array.from({ length: count }, (_, i) => `export const line${i} = ${i};\n`).join('');
}

interface Verdict {
  readonly passed: boolean;
  readonly filesRead: number;
  /** `rule file`, sorted; the rule without its group. */
  readonly findings: string[];
}

function runGate(directory: string, ...paths: string[]): Promise<Verdict> {
  const args = [BIOME, 'check', '--error-on-warnings', '--reporter=json', '--max-diagnostics=none', ...paths];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd: directory, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      try {
        const { summary, diagnostics } = JSON.parse(stdout);
        const findings = diagnostics.map(
          (found: { category: string; location: { path: string } }) =>
            `${found.category.split('/').at(-1)} ${found.location.path}`,
        );
        resolve({
          passed: error === null,
          filesRead: summary.changed + summary.unchanged,
          findings: [...new Set<string>(findings)].sort(),
        });
      } catch {
        reject(new Error(stderr));
      }
    });
  });
}

describe('the gate', () => {
  test('reads every source file of the repository', async () => {
    const { filesRead } = await runGate(ROOT, 'src');
    const sources = await Array.fromAsync(glob('src/**/*.{ts,tsx,css}', { cwd: ROOT }));
    assert.ok(sources.length > 0);
    assert.ok(filesRead >= sources.length, `${filesRead} of ${sources.length} files read`);
  });

  test('passes a clean tree', async (t) => {
    const directory = await plant(t, { 'src/core/one.ts': 'export const one = 1;\n' });
    assert.deepEqual(await runGate(directory, 'src'), { passed: true, filesRead: 1, findings: [] });
  });

  test('fails when it is given nothing to read', async (t) => {
    const directory = await plant(t, { 'src/empty.txt': '' });
    const { passed, filesRead } = await runGate(directory, 'src');
    assert.deepEqual({ passed, filesRead }, { passed: false, filesRead: 0 });
  });

  const planted: Record<string, { files: Record<string, string>; findings: string[] }> = {
    'a package that is only there for the tests': {
      files: { 'src/jobs/one.ts': "import fc from 'fast-check';\n\nexport const one = fc;\n" },
      findings: ['noUndeclaredDependencies src/jobs/one.ts'],
    },
    'a cycle': {
      files: {
        'src/jobs/one.ts': "import { two } from './two.ts';\n\nexport const one = () => two;\n",
        'src/jobs/two.ts': "import { one } from './one.ts';\n\nexport const two = () => one;\n",
      },
      findings: ['noImportCycles src/jobs/one.ts', 'noImportCycles src/jobs/two.ts'],
    },
    'a cycle of types': {
      files: {
        'src/jobs/one.ts': "import type { Two } from './two.ts';\n\nexport type One = Two | 1;\n",
        'src/jobs/two.ts': "import type { One } from './one.ts';\n\nexport type Two = One[];\n",
      },
      findings: ['noImportCycles src/jobs/one.ts', 'noImportCycles src/jobs/two.ts'],
    },
    'a file of 301 lines': {
      files: {
        'src/jobs/fits.ts': lines(300),
        'src/jobs/long.ts': lines(301),
      },
      findings: ['noExcessiveLinesPerFile src/jobs/long.ts'],
    },
    'console and process.env': {
      files: {
        'src/jobs/one.ts': 'console.log(process.env.HOME);\n',
        'src/serve.ts': 'console.log(process.env.HOME);\n',
      },
      findings: ['noConsole src/jobs/one.ts', 'noProcessEnv src/jobs/one.ts'],
    },
    'a promise that nobody waits for': {
      files: {
        'src/jobs/one.ts':
          'async function one(): Promise<void> {}\n\nexport function two(): void {\n  one();\n}\n',
      },
      findings: ['noFloatingPromises src/jobs/one.ts'],
    },
    'a barrel': {
      files: {
        'src/jobs/one.ts': 'export const one = 1;\n',
        'src/jobs/index.ts': "export * from './one.ts';\n",
      },
      findings: ['noBarrelFile src/jobs/index.ts'],
    },
    'a test that runs alone': {
      files: { 'test/one.test.ts': "import { test } from 'node:test';\n\ntest.only('one', () => {});\n" },
      findings: ['noFocusedTests test/one.test.ts'],
    },
    'a file that is not formatted': {
      files: { 'src/core/one.ts': 'export const one = "1"\n' },
      findings: ['format src/core/one.ts'],
    },
  };
  for (const [what, { files, findings }] of Object.entries(planted)) {
    test(`fails ${what}`, async (t) => {
      const verdict = await runGate(await plant(t, files));
      assert.deepEqual(verdict.findings, findings);
      assert.equal(verdict.passed, false);
    });
  }
});
