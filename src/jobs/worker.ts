import { type Job, WaitingError } from 'bullmq';
import type { Logger } from 'pino';
import type { Stores } from '../storage/stores.ts';
import { type Tenant, tenantOf } from '../storage/tenant.ts';
import { logAttempts } from './attempt-log.ts';
import type { Backend, QueuedData, QueueProcessor } from './backends/backend.ts';
import { isCancelAsked } from './cancel-request.ts';
import { closeConnection } from './close-connection.ts';
import { computeInChildren, GivenBack } from './compute-in-children.ts';
import { jobFields } from './job-fields.ts';
import type { Lane } from './job-lanes.ts';
import type { JobLimits } from './job-limits.ts';
import { openJobNews } from './job-news.ts';
import { createJobPool } from './job-pool.ts';
import type { JobEnded } from './job-queues.ts';
import { readResult, settleFailure } from './result.ts';
import { retryWrite } from './retry-write.ts';
import type { StopReason, TenantMessage } from './tasks/task.ts';
import type { AttemptWatcher } from './watch-attempts.ts';

/** A lock is renewed twice in its time. A job whose worker died is free when it has run out... */
const LOCK_MS = 6000;
/** ...and is found by the second look after that: within LOCK_MS + STALLED_CHECK_MS of the death. */
const STALLED_CHECK_MS = 3000;
/** How many workers may die of a job, or be killed over it, before it is given up. */
const MAX_STALLED = 3;
/** With what follows, less than the time that docker-compose.yml gives between SIGTERM and SIGKILL. */
const GRACE_MS = 10_000;
/** How soon a server that was away is asked again: BullMQ's own 15 seconds would be idle ones. */
const RETRY_MS = 1000;
/** Longer than a child that hears nothing is waited for, and the queue's server asked to take its job back. */
const ABORT_MS = 5000;

export interface WorkerSettings {
  readonly stores: Pick<Stores, 'root' | 'find'>;
  readonly backend: Backend;
  /** Whose jobs it takes. */
  readonly lane: Lane;
  /** Jobs at a time, each in a child process of its own. */
  readonly concurrency: number;
  /** Threads that one job may compute on; the result is the same for any number. */
  readonly threads?: number;
  /** Of its children: what `childEnvironment` made. */
  readonly env: NodeJS.ProcessEnv;
  /** What one job may take. */
  readonly limits: JobLimits;
  readonly log: Logger;
  /** Who hears of the attempts that it makes. */
  readonly watchers?: readonly AttemptWatcher[];
  /** Hears of a job whose end was decided here. */
  readonly jobEnded?: JobEnded | undefined;
  /** Hears of jobs whose end was noted here. */
  onEnded?(id: string, tenant: Tenant): void;
  /** The child's file; the tests have their own. */
  readonly program?: URL;
  readonly lockMs?: number;
  readonly stalledCheckMs?: number;
  readonly graceMs?: number;
}

export interface JobWorker {
  /**
   * Takes no further job, gives running ones `graceMs` to finish and then returns them to the queue, where another worker finds them
   * at once: most jobs take seconds, and a deployment should not wait for those that do not.
   */
  close(): Promise<void>;
}

/** Starts taking jobs from the queue of a lane. */
export async function startWorker(settings: WorkerSettings): Promise<JobWorker> {
  const { stores, backend, lane, concurrency, threads = 1, env, limits, log } = settings;
  const pool = createJobPool({ env, limits, threads, program: settings.program });
  const watchers = [logAttempts(stores, log), ...(settings.watchers ?? [])];
  const compute = computeInChildren(pool, stores, limits, log, watchers);
  /** What the messages of the jobs say that run here. */
  const messages = new Map<string, TenantMessage>();
  // By the number of these parameters, none with a default, BullMQ knows that it is to give the signal.
  const computeFor: QueueProcessor = async (job, token, signal) => {
    const { id = '', data } = job;
    messages.set(id, data);
    try {
      return await compute(job, token, signal ?? new AbortController().signal);
    } catch (error) {
      throw error instanceof GivenBack ? new WaitingError() : error;
    } finally {
      messages.delete(id);
    }
  };
  const worker = backend.createWorker(lane, computeFor, {
    concurrency,
    lockDuration: settings.lockMs ?? LOCK_MS,
    stalledInterval: settings.stalledCheckMs ?? STALLED_CHECK_MS,
    maxStalledCount: MAX_STALLED,
    runRetryDelay: RETRY_MS,
  });
  const stop = (id: string, reason: StopReason) => worker.cancelJob(id, reason);
  const opening = openJobNews(backend, lane, worker, log, {
    cancelAsked: (id) => stop(id, 'canceled'),
  });
  const settling = new Set<Promise<void>>();
  const closing = new AbortController();
  worker.on('error', (error) => log.warn({ err: error }, 'worker'));
  worker.on('stalled', (id) => log.warn({ job: id }, 'job taken up again: its worker is gone'));
  // The queue has a job completed, or given up, once: a result that it never heard of is found by the next who takes the job.
  const countEnd = async ({ id = '', data }: Job<QueuedData>) => {
    const store = await stores.find(tenantOf(data));
    const result = store && (await readResult(store, id));
    if (!result) return;
    settings.jobEnded?.(result.status);
    settings.onEnded?.(id, tenantOf(data));
  };
  worker.on('completed', (job) => {
    log.info(jobFields(job), 'job done');
    countEnd(job).catch((error) => log.warn({ err: error, ...jobFields(job) }, 'an end was not counted'));
  });
  worker.on('failed', (job, error) => {
    const settled = settle(stores, job, error, log, closing.signal)
      .then(async () => {
        if (job?.id) (await opening).tellEnded(job.id);
        if (job?.finishedOn !== undefined) await countEnd(job);
      })
      .catch((cause) => log.error({ err: cause, ...jobFields(job) }, 'the result could not be written'))
      .finally(() => settling.delete(settled));
    settling.add(settled);
  });
  const news = await opening;
  // News may be lost, the word in the store is not.
  const lookForCancellation = (ids: readonly string[]) => {
    for (const id of ids)
      stores
        .find(tenantOf(messages.get(id)))
        // What a tenant has going on ends with it.
        .then((store) => !store || isCancelAsked(store, id))
        .then((isAsked) => isAsked && stop(id, 'canceled'))
        .catch((error) =>
          log.warn(
            { err: error, ...jobFields({ id, data: messages.get(id) }) },
            'cancellation not looked for',
          ),
        );
  };
  worker.on('locksRenewed', ({ jobIds }) => lookForCancellation(jobIds));
  // Of a job that the queue has forgotten, or given to another worker, the child computes on.
  worker.on('lockRenewalFailed', lookForCancellation);
  await worker.waitUntilReady();
  return {
    async close() {
      const graceMs = settings.graceMs ?? GRACE_MS;
      const timers: NodeJS.Timeout[] = [];
      const abandoned = new Promise<void>((resolve) => {
        timers.push(setTimeout(() => worker.cancelAllJobs('shutdown' satisfies StopReason), graceMs));
        timers.push(setTimeout(resolve, graceMs + ABORT_MS));
      });
      await Promise.race([closeConnection(worker, log).then(() => news.close()), abandoned]);
      for (const timer of timers) clearTimeout(timer);
      await pool.close();
      // What could not be written by now, recovery writes.
      closing.abort();
      await Promise.all(settling);
    },
  };
}

/**
 * Gives a job its result when the queue has given it up, however long the disk is full. Only then the queue may forget it: recovery finds
 * there what this process has not come to write.
 */
async function settle(
  stores: Pick<Stores, 'find'>,
  job: Job<QueuedData> | undefined,
  error: Error,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  if (!job?.id) return;
  const final = job.finishedOn !== undefined;
  const fields = jobFields(job);
  log.warn({ err: error, ...fields, attempt: job.attemptsMade, final }, 'attempt failed');
  if (!final) return;
  const isPassing = (cause: unknown) => {
    log.warn({ err: cause, ...fields }, 'the result could not be written yet');
    return true;
  };
  const write = async () => {
    const store = await stores.find(tenantOf(job.data));
    if (store) await settleFailure(store, job, error);
  };
  await retryWrite(write, isPassing, signal);
  await job.remove();
}
