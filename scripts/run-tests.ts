/** `npm test`, `npm run test:unit` and `npm run check:goldens`: chooses the test files, runs them, and says at the end which it had to leave out. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { isUnit, readTestFiles, type TestFile } from './test-files.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Every test file is a process of its own, and half of what it takes to start is reading the same modules. */
const COMPILE_CACHE = fileURLToPath(new URL('../node_modules/.cache/node', import.meta.url));
const INSTALLER = fileURLToPath(new URL('install-test-services.sh', import.meta.url));
/** By the first argument; what follows is for Node's test runner. */
const CHOICES: Readonly<Partial<Record<string, (file: TestFile) => boolean>>> = {
  unit: isUnit,
  goldens: ({ isGolden }) => isGolden,
};
const [name = '', ...rest] = process.argv.slice(2);
const choice = CHOICES[name];
const options = choice ? rest : process.argv.slice(2);

/** Debian's names of what the tests start and this machine has not. */
function findMissing(): string[] {
  spawnSync('bash', [INSTALLER], { stdio: 'inherit' });
  const { stdout } = spawnSync('bash', [INSTALLER, '--missing'], { encoding: 'utf8' });
  return stdout.split('\n').filter((name) => name !== '');
}

const files = (await readTestFiles(ROOT)).filter(choice ?? (({ isGolden }) => !isGolden));
const missing = choice ? [] : findMissing();
// In CI nothing is left out: there the files that lack something fail, each in its own words.
const mayLeaveOut = process.env.CI !== 'true';
const leftOut = mayLeaveOut ? files.filter(({ needs }) => needs.some((name) => missing.includes(name))) : [];
const chosen = files.filter((file) => !leftOut.includes(file));

/** The exit status of Node's test runner. */
function run(tests: readonly TestFile[], concurrency: number): number {
  if (tests.length === 0) return 0;
  const own = ['--test', `--test-concurrency=${concurrency}`, '--test-timeout=120000'];
  const { status } = spawnSync(process.execPath, [...own, ...options, ...tests.map(({ path }) => path)], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { NODE_COMPILE_CACHE: COMPILE_CACHE, ...process.env },
  });
  return status ?? 1;
}

/** Files at a time. Jobs of a service compute at a lower priority, and starve beside tests that compute themselves: those have their turn after them. */
const TURNS: readonly { readonly files: number; has(file: TestFile): boolean }[] = [
  { files: 1, has: ({ isAlone }) => isAlone },
  { files: 3, has: ({ isAlone, usesProcesses }) => !isAlone && usesProcesses },
  { files: 3, has: ({ isAlone, usesProcesses }) => !isAlone && !usesProcesses },
];
for (const turn of TURNS) process.exitCode = run(chosen.filter(turn.has), turn.files) || process.exitCode;

if (missing.length > 0) {
  const what = mayLeaveOut
    ? `NOT RUN: ${leftOut.length} of ${files.length} test files`
    : 'Test files fail here';
  const names = leftOut.map(({ path }) => `\n  ${path}`).join('');
  console.error(`\n${what}, for this machine lacks ${missing.join(', ')} (Debian's names).${names}`);
  if (!mayLeaveOut) process.exitCode ||= 1;
}
