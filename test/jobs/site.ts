import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import type { Backend } from '../../src/jobs/backends/backend.ts';
import { type BackendSettings, connectBackend } from '../../src/jobs/backends/connect.ts';
import type { JobRequest } from '../../src/jobs/job.ts';
import type { JobLimits } from '../../src/jobs/job-limits.ts';
import type { JobWorker } from '../../src/jobs/worker.ts';
import { startWorkers } from '../../src/jobs/workers.ts';
import { recipeSchema } from '../../src/recipe/recipe.ts';
import { FolderStore } from '../../src/storage/folder-store.ts';
import type { Store } from '../../src/storage/store.ts';
import { type OpenJobs, onlyStore, openJobs } from './open-jobs.ts';

export const log = pino({ level: process.env.LOG_LEVEL ?? 'silent' });
export const LIMITS = { timeMs: 10_000, memoryMebibytes: 512 };
export const RETRY = { attempts: 3, backoffMs: 100 };

/** One process's share of the service: store, queue, jobs, and a worker with the tests' child. */
export interface Site {
  readonly store: Store;
  readonly backend: Backend;
  readonly jobs: OpenJobs;
  readonly worker: JobWorker;
  close(): Promise<void>;
}

/** @param isWorking whether it has a worker: without, jobs are computed elsewhere */
export async function openSite(
  settings: BackendSettings,
  isWorking = true,
  limits: JobLimits = LIMITS,
): Promise<Site> {
  const store = await FolderStore.open(settings.dataDirectory);
  const backend = await connectBackend(settings);
  const jobs = await openJobs({ store, backend, log, retry: RETRY });
  await jobs.recover();
  const worker = isWorking ? await startTestWorker(store, backend, log, limits) : { close: async () => {} };
  return {
    store,
    backend,
    jobs,
    worker,
    async close() {
      await worker.close();
      await jobs.close();
      await backend.close();
      await store.close();
    },
  };
}

/** A worker with short times, so that a test sees in seconds what takes ten in production. */
export function startTestWorker(
  store: Store,
  backend: Backend,
  logged: Logger = log,
  limits: JobLimits = LIMITS,
): Promise<JobWorker> {
  return startWorkers({
    stores: onlyStore(store),
    backend,
    concurrency: 1,
    log: logged,
    limits,
    program: new URL('./test-child.ts', import.meta.url),
    lockMs: 2000,
    stalledCheckMs: 500,
    graceMs: 200,
  });
}

/** A request for the tests' child. */
export function request(metadata: Record<string, string>, model_id = 'mdl_0000000000'): JobRequest {
  return {
    model_id,
    scores_dataset_id: null,
    calibration_dataset_id: null,
    evaluation_dataset_id: null,
    recipe: recipeSchema.parse({}),
    metadata,
  };
}

/** The attempts that a trace file tells of. */
export async function readTrace(path: string): Promise<{ at: number; pid: number }[]> {
  const lines = (await readFile(path, 'utf8').catch(() => '')).split('\n').slice(0, -1);
  return lines.map((line) => {
    const [at, pid] = line.split(' ').map(Number);
    return { at: at ?? 0, pid: pid ?? 0 };
  });
}

export function tracePath(directory: string, name: string): string {
  return join(directory, `${name}.trace`);
}
