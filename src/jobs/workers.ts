import type { ExecutionProvider } from '../runtime/session.ts';
import { childEnvironment } from './child-settings.ts';
import { LANES } from './job-lanes.ts';
import { requireProviders } from './provider-check.ts';
import { type JobWorker, startWorker, type WorkerSettings } from './worker.ts';

/** One short job at a time: it ends in seconds, and the long ones have the cores. */
const SHORT_CONCURRENCY = 1;

/** `concurrency` is that of the long lane. */
export interface WorkersSettings extends Omit<WorkerSettings, 'lane' | 'env'> {
  /** What models run on, in order of preference; `cpu` unless given. */
  readonly providers?: readonly ExecutionProvider[];
}

/**
 * Starts a worker for each lane.
 * @throws EmpError execution_provider_unavailable where one of `providers` cannot start here
 */
export async function startWorkers(settings: WorkersSettings): Promise<JobWorker> {
  const { stores, concurrency, threads = 1, providers = ['cpu'], limits, log } = settings;
  const { memoryMebibytes } = limits;
  const env = childEnvironment({
    ...{ storeRoot: stores.root, threads, providers, memoryMebibytes, logLevel: log.level },
  });
  await requireProviders(providers, env);
  const workers = await Promise.all(
    LANES.map((lane) =>
      startWorker({
        ...settings,
        lane,
        env,
        concurrency: lane === 'short' ? SHORT_CONCURRENCY : concurrency,
      }),
    ),
  );
  return {
    async close() {
      await Promise.all(workers.map((worker) => worker.close()));
    },
  };
}
