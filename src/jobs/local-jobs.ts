import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { EmpError } from '../core/errors.ts';
import type { ExecutionProvider } from '../runtime/session.ts';
import { diskFault } from '../storage/disk-faults.ts';
import type { Store } from '../storage/store.ts';
import type { Stores } from '../storage/stores.ts';
import { childEnvironment } from './child-settings.ts';
import { type ComputedJob, computeInChildren, GivenBack } from './compute-in-children.ts';
import type { JobLimits } from './job-limits.ts';
import { JobLines } from './job-lines.ts';
import type { JobNews } from './job-news.ts';
import { createJobPool } from './job-pool.ts';
import { JobQueues } from './job-queues.ts';
import { LocalLine } from './local-line.ts';
import { requireProviders } from './provider-check.ts';
import { settleFailure } from './result.ts';
import { Tenants } from './tenants.ts';
import { Wakeups } from './wakeups.ts';

/** Between two looks at the disk while jobs run. */
const LOOK_MS = 1000;

interface LocalJobsSettings {
  readonly stores: Stores;
  readonly log: Logger;
  readonly limits: JobLimits;
  readonly threads: number;
  readonly providers: readonly ExecutionProvider[];
  /** Hears that the store takes no writes: a service would wait until its disk is mended, and here nobody does. */
  onFault(error: EmpError): void;
}

/**
 * Jobs without a queue: each runs in a child of this process, within limits, and ends with it. One of either lane runs at a time, as in a worker with the default settings.
 * @throws EmpError execution_provider_unavailable
 */
export async function openLocalJobs(
  settings: LocalJobsSettings,
): Promise<{ tenants: Tenants } & AsyncDisposable> {
  const { stores, log, limits, threads, providers, onFault } = settings;
  const { memoryMebibytes } = limits;
  const env = childEnvironment({ storeRoot: stores.root, threads, providers, memoryMebibytes });
  if (providers.some((name) => name !== 'cpu')) await requireProviders(providers, env);
  const store = await stores.of(null);
  const pool = createJobPool({ env, limits, threads });
  const wakeups = new Wakeups();
  const closing = new AbortController();
  const openLine = () =>
    new LocalLine({
      compute: computeInChildren(pool, stores, limits, log),
      ended: (job, failure) => settle(store, job, failure).catch(onWriteFailed),
      changed: (id) => wakeups.wake(id),
    });
  const onWriteFailed = (error: unknown) => onFault(faultOf(error));
  const lines = { short: openLine(), long: openLine() };
  const newsOf = (line: LocalLine): JobNews => ({
    tellEnded: (id) => wakeups.wake(id),
    tellCancelAsked: (id) => line.stop(id, 'canceled'),
    close: async () => {},
  });
  const lanes = {
    lines: new JobLines(lines),
    news: { short: newsOf(lines.short), long: newsOf(lines.long) },
    wakeups,
    send: async () => {},
    onEnded: () => {},
    close: async () => {},
  };
  const watching = watchDisk(store, closing.signal, onFault);
  const queues = new JobQueues({ lanes, backend: { ping: async () => {} }, log });
  const tenants = new Tenants({ stores, queues, log });
  return {
    tenants,
    async [Symbol.asyncDispose]() {
      closing.abort();
      const ending = Promise.all([lines.short.close(), lines.long.close()]);
      await pool.close();
      await Promise.all([ending, watching, tenants.close()]);
    },
  };
}

/** Gives a job the result that its child could not write. */
async function settle(store: Store, job: ComputedJob, failure: Error | null): Promise<void> {
  if (failure && !(failure instanceof GivenBack)) await settleFailure(store, job, failure);
}

async function watchDisk(store: Store, signal: AbortSignal, onFault: (error: EmpError) => void) {
  while (!signal.aborted) {
    await sleep(LOOK_MS, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    await store.ping().catch((error) => signal.aborted || onFault(faultOf(error)));
  }
}

function faultOf(error: unknown): EmpError {
  if (error instanceof EmpError) return error;
  return (
    diskFault(error) ?? new EmpError('internal_error', error instanceof Error ? error.message : String(error))
  );
}
