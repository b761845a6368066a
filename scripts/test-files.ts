import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readImports, resolveImport } from './imports.ts';

/** What a test file can need beside this repository, by the file of `test/services` that starts it; with Debian's names of it. */
export const SERVICES: Readonly<Record<string, readonly string[]>> = {
  'test/services/redis.ts': ['redis-server'],
  'test/services/postgres.ts': ['postgresql'],
  'test/services/chromium.ts': ['chromium'],
  'test/services/clients.ts': ['curl', 'python3-requests'],
};

/** Files that take two seconds of a processor or more each: too slow for the unit tests, which take a minute together. */
export const SLOW: readonly string[] = [
  'test/autodiff/curvature.test.ts',
  'test/autodiff/rules/resize.test.ts',
  'test/core/kernel-build.test.ts',
  'test/core/kernels.test.ts',
  'test/core/threshold.test.ts',
  'test/formats/onnx/rewrite-memory.test.ts',
  'test/gates/architecture.test.ts',
  'test/graph/large-graphs.test.ts',
  'test/http/globs.test.ts',
  'test/http/hostile-archives.test.ts',
  'test/http/thresholds.test.ts',
  'test/pipeline/compare/compare-models.test.ts',
  'test/pipeline/evaluation.test.ts',
  'test/pipeline/failures.test.ts',
  'test/pipeline/fused-models.test.ts',
  'test/pipeline/onnx.test.ts',
  'test/pipeline/progress.test.ts',
  'test/pipeline/prune.test.ts',
  'test/pipeline/repairs.test.ts',
  'test/pipeline/structures/kinds-of-models.test.ts',
  'test/pipeline/structures/structure-jobs.test.ts',
  'test/pipeline/structures/unread.test.ts',
  'test/pipeline/unsorted.test.ts',
  'test/pipeline/weights/extremes.test.ts',
  'test/pipeline/weights/quantized.test.ts',
  'test/pipeline/weights/rows.test.ts',
  'test/repair/shared-tensors.test.ts',
  'test/report/structures-page.test.ts',
  'test/runtime/evaluation.test.ts',
  'test/runtime/fed-samples.test.ts',
  'test/structure/experts.test.ts',
  'test/structure/large-images.test.ts',
  'test/structure/lasting-axes.test.ts',
  'test/structure/quantized-forms.test.ts',
  'test/structure/removal.test.ts',
  'test/structure/rules.test.ts',
];

const PROCESSES = /['"]node:child_process['"]|['"`]\/proc\b/;

/** Of a file, and not of a `describe` in it: in a shared process it would run at every test of all files. */
const ROOT_HOOK = /^(before|after)Each\(/m;

/** Measures the process that it is in. */
const OF_PROCESS = /process\.(memoryUsage|cpuUsage)\b/;

/** Folders of tests that run by themselves: `golden` compares at length with what independent code gives, `hostile` measures how long others wait for a service and what memory that holds. */
export const CHECKS = ['golden', 'hostile'] as const;
type Check = (typeof CHECKS)[number];

export interface TestFile {
  /** From the root, with forward slashes. */
  readonly path: string;
  /** Debian's names of what it needs, directly or through what it imports. */
  readonly needs: readonly string[];
  /** Whether a file of the tests or the scripts that it reaches starts a process, or looks at those of Linux. */
  readonly usesProcesses: boolean;
  readonly isSlow: boolean;
  /** Whether it may share a process with others of its kind: it is quick, and what it sets up it sets up within itself. */
  readonly isShareable: boolean;
  /** Of `npm run check:*`, which runs it; null where `npm test` does. */
  readonly check: Check | null;
}

/** Every test file under `root`, by path. */
export async function readTestFiles(root: string): Promise<TestFile[]> {
  const paths = await Array.fromAsync(glob('test/**/*.test.ts', { cwd: root }));
  const files = new Map<string, Promise<ReadFile>>();
  return await Promise.all(
    paths
      .map((path) => path.replaceAll('\\', '/'))
      .sort()
      .map(async (path) => {
        const reached = await reachableFrom(root, path, files);
        const programs = reached.filter((file) => !file.startsWith('src/'));
        const texts = await Promise.all(programs.map(async (file) => (await files.get(file))?.text ?? ''));
        const file = {
          path,
          needs: reached.flatMap((file) => SERVICES[file] ?? []).sort(),
          usesProcesses: texts.some((text) => PROCESSES.test(text)),
          isSlow: SLOW.includes(path),
          check: CHECKS.find((check) => path.startsWith(`test/${check}/`)) ?? null,
        };
        const text = (await files.get(path))?.text ?? '';
        return {
          ...file,
          isShareable: isUnit(file) && !ROOT_HOOK.test(text) && !OF_PROCESS.test(text),
        };
      }),
  );
}

/** Unit tests need no server and no process, and are quick. */
export function isUnit({
  needs,
  usesProcesses,
  isSlow,
  check,
}: Pick<TestFile, 'needs' | 'usesProcesses' | 'isSlow' | 'check'>): boolean {
  return needs.length === 0 && !usesProcesses && !isSlow && check === null;
}

interface ReadFile {
  readonly text: string;
  readonly imports: readonly string[];
}

/** The file and all that it imports, directly or through others. */
async function reachableFrom(
  root: string,
  start: string,
  files: Map<string, Promise<ReadFile>>,
): Promise<string[]> {
  const reached = new Set<string>();
  const waiting = [start];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (reached.has(path) || !path.endsWith('.ts')) continue;
    reached.add(path);
    const file = files.get(path) ?? readImporting(root, path);
    files.set(path, file);
    waiting.push(...(await file).imports);
  }
  return [...reached];
}

async function readImporting(root: string, path: string): Promise<ReadFile> {
  const text = await readFile(join(root, path), 'utf8').catch(() => '');
  const imports = readImports(text).map((imported) => resolveImport(path, imported));
  return { text, imports: imports.filter((target) => target !== null) };
}
