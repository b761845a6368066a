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
}

const STORE_ROOT = 'EMP_CHILD_STORE_ROOT';
const THREADS = 'EMP_CHILD_THREADS';
const PROVIDERS = 'EMP_CHILD_PROVIDERS';
const MEMORY = 'EMP_CHILD_MEMORY';

/**
 * What children do not get: the queue's credentials, no business of a process that reads uploaded files, and Node's cache of compiled code.
 * It would save each child 140 ms, but what one child writes into it the next ones run, and an uploaded model is a program in a native runtime.
 */
const WITHHELD = ['REDIS_URL', 'DATABASE_URL', 'NODE_COMPILE_CACHE'];

/** A child's environment: this process's, less what is withheld. */
export function childEnvironment(settings: ChildSettings): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = { ...process.env };
  for (const name of WITHHELD) delete environment[name];
  environment[STORE_ROOT] = settings.storeRoot;
  environment[THREADS] = String(settings.threads);
  environment[PROVIDERS] = settings.providers.join();
  environment[MEMORY] = String(settings.memoryMebibytes);
  return environment;
}

/** In a child: what its worker told it. */
export function readChildSettings(): ChildSettings {
  const storeRoot = process.env[STORE_ROOT];
  const providers = process.env[PROVIDERS];
  if (!storeRoot || !providers) throw new Error('this file is run by a worker, not by itself');
  return {
    storeRoot,
    threads: Number(process.env[THREADS]),
    providers: providers.split(',') as ExecutionProvider[],
    memoryMebibytes: Number(process.env[MEMORY]),
  };
}
