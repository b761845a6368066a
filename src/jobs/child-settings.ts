import type { ExecutionProvider } from '../runtime/session.ts';

/** What a worker tells its child processes, by environment variables of its own: a job, which any worker may take, cannot know it. */
export interface ChildSettings {
  readonly storeRoot: string;
  /** Threads that one job may compute on. */
  readonly threads: number;
  /** What it may run models on, in order of preference. */
  readonly providers: readonly ExecutionProvider[];
  /** Memory that it may take. */
  readonly memoryMebibytes: number;
  /** Of its lines, which go where its parent's go; without one it writes none. */
  readonly logLevel?: string | undefined;
}

const STORE_ROOT = 'EMP_CHILD_STORE_ROOT';
const THREADS = 'EMP_CHILD_THREADS';
const PROVIDERS = 'EMP_CHILD_PROVIDERS';
const MEMORY = 'EMP_CHILD_MEMORY';
const LOG_LEVEL = 'EMP_CHILD_LOG_LEVEL';

/**
 * All that children get of this process's environment: what finds programs, libraries and devices. Credentials are no business of a process that reads uploaded files, whatever
 * they are called. Nor is Node's cache of compiled code. It would save each child 140 ms, but what one child writes into it the next ones run, and an uploaded model is a
 * program in a native runtime.
 */
const PASSED =
  /^(PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|LD_LIBRARY_PATH|LD_PRELOAD|NODE_OPTIONS|NODE_V8_COVERAGE|(MALLOC|OMP|KMP|CUDA|CUDNN|NVIDIA)_\w+)$/;

/** A child's environment: what it needs of this process's, and its settings. */
export function childEnvironment(settings: ChildSettings): NodeJS.ProcessEnv {
  return {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => PASSED.test(name))),
    [STORE_ROOT]: settings.storeRoot,
    [THREADS]: String(settings.threads),
    [PROVIDERS]: settings.providers.join(),
    [MEMORY]: String(settings.memoryMebibytes),
    ...(settings.logLevel && { [LOG_LEVEL]: settings.logLevel }),
  };
}

/** In a child: what its worker told it. */
export function readChildSettings(): ChildSettings {
  const { [STORE_ROOT]: storeRoot, [PROVIDERS]: providers, [LOG_LEVEL]: logLevel } = process.env;
  if (!storeRoot || !providers) throw new Error('this file is run by a worker, not by itself');
  return {
    storeRoot,
    threads: Number(process.env[THREADS]),
    providers: providers.split(',') as ExecutionProvider[],
    memoryMebibytes: Number(process.env[MEMORY]),
    ...(logLevel && { logLevel }),
  };
}
