/** `npm test`, `npm run test:unit`, `npm run check:goldens` and `npm run check:hostile`: chooses the test files, runs them, and says at the end which it had to leave out. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { isUnit, readTestFiles, type TestFile } from './test-files.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Every test file is a process of its own, as are the services that it starts, and their children: half of what one takes to start is reading the same modules. */
const SHARE_CODE = `--require=${JSON.stringify(fileURLToPath(new URL('share-compiled-code.cts', import.meta.url)))}`;
const INSTALLER = fileURLToPath(new URL('install-test-services.sh', import.meta.url));
/**
 * Of tests that compute, beside those of services, which mostly wait. The jobs of a service have a priority of 10 so that they give way to what answers: beside tests of 0 they would
 * wait for minutes.
 */
const ASIDE = 15;
/** By the first argument; what follows is for Node's test runner. */
const CHOICES: Readonly<Partial<Record<string, (file: TestFile) => boolean>>> = {
  unit: isUnit,
  goldens: ({ check }) => check === 'golden',
  hostile: ({ check }) => check === 'hostile',
};
const [name = '', ...rest] = process.argv.slice(2);
const choice = CHOICES[name];
const options = choice ? rest : process.argv.slice(2);

/** Debian's names of what the tests start and this machine has not, once what can be installed is. */
async function findMissing(): Promise<string[]> {
  await once(spawn('bash', [INSTALLER], { stdio: 'inherit' }), 'close');
  const { stdout } = spawnSync('bash', [INSTALLER, '--missing'], { encoding: 'utf8' });
  return stdout.split('\n').filter((name) => name !== '');
}

interface Way {
  /** Files at a time, each in a process of its own; null: all in one process. */
  readonly concurrency: number | null;
  /** Makes way for others; its words are kept until its end. */
  readonly isAside?: boolean;
}

/** The exit status of Node's test runner. What several of them say at a time is told one after the other. */
async function run(tests: readonly TestFile[], { concurrency, isAside = false }: Way): Promise<number> {
  if (tests.length === 0) return 0;
  const how = concurrency === null ? '--test-isolation=none' : `--test-concurrency=${concurrency}`;
  const own = ['--test', how, '--test-timeout=120000', ...options];
  const child = spawn(process.execPath, [...own, ...tests.map(({ path }) => path)], {
    cwd: ROOT,
    stdio: isAside ? ['ignore', 'pipe', 'pipe'] : 'inherit',
    env: { ...process.env, NODE_OPTIONS: [process.env.NODE_OPTIONS, SHARE_CODE].filter(Boolean).join(' ') },
  });
  if (isAside && child.pid !== undefined) setPriority(child.pid, ASIDE);
  const said: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => said.push(chunk));
  const [status] = await once(child, 'close');
  process.stdout.write(Buffer.concat(said));
  return status ?? 1;
}

const files = (await readTestFiles(ROOT)).filter(choice ?? (({ check }) => check === null));
const quick = files.filter(({ isShareable }) => isShareable);
// They need nothing that has to be installed meanwhile.
const early = [0, 1].map((half) =>
  run(
    quick.filter((_, i) => i % 2 === half),
    { concurrency: null, isAside: true },
  ),
);
const missing = choice ? [] : await findMissing();
// In CI nothing is left out: there the files that lack something fail, each in its own words.
const mayLeaveOut = process.env.CI !== 'true';
const leftOut = mayLeaveOut ? files.filter(({ needs }) => needs.some((name) => missing.includes(name))) : [];
const others = files.filter((file) => !file.isShareable && !leftOut.includes(file));
const together = (usesProcesses: boolean) => others.filter((file) => file.usesProcesses === usesProcesses);
await Promise.all(early);
const late = [
  // What measures a service has the machine to itself.
  run(together(true), { concurrency: name === 'hostile' ? 1 : 3 }),
  run(together(false), { concurrency: 2, isAside: true }),
];
const statuses = await Promise.all([...early, ...late]);
process.exitCode = statuses.find((status) => status !== 0) ?? 0;

if (missing.length > 0) {
  const what = mayLeaveOut
    ? `NOT RUN: ${leftOut.length} of ${files.length} test files`
    : 'Test files fail here';
  const names = leftOut.map(({ path }) => `\n  ${path}`).join('');
  console.error(`\n${what}, for this machine lacks ${missing.join(', ')} (Debian's names).${names}`);
  if (!mayLeaveOut) process.exitCode ||= 1;
}
