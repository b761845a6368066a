import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import type { Job } from 'bullmq';
import type { Logger } from 'pino';
import type { EmpError } from '../core/errors.ts';
import { mayPass } from '../storage/disk-faults.ts';
import type { Store } from '../storage/store.ts';
import type { Stores } from '../storage/stores.ts';
import { tenantOf } from '../storage/tenant.ts';
import type { QueuedData } from './backends/backend.ts';
import { ChildFailure, type ChildPool } from './child-pool.ts';
import { type JobRecord, type JobResult, type ProgressEvent, startOf } from './job.ts';
import { jobFields } from './job-fields.ts';
import { type JobLimits, outOfMemory, outOfTime } from './job-limits.ts';
import { progressOf } from './progress-events.ts';
import { crashFailure, type FailedJob, inputFailure, writeResult } from './result.ts';
import { retryWrite } from './retry-write.ts';
import { CANCELED } from './run-job.ts';
import type { Message, TaskEnd } from './tasks/task.ts';
import { type AttemptWatcher, WatchedAttempt } from './watch-attempts.ts';

export type JobPool = ChildPool<Message<QueuedData>, TaskEnd, readonly ProgressEvent[]>;

/** A computation returns to its event loop far more often than this. One that does not is killed. */
const PATIENCE_MS = 1000;
/** A queue's server that is there answers in milliseconds. */
const RETURN_MS = 1000;
/** Native code that meets one of these meets it again with the same model. */
const FAULTS: readonly (string | null)[] = ['SIGFPE', 'SIGSEGV', 'SIGILL', 'SIGBUS', 'SIGABRT'];

/** What is used of a message of the queue. */
export interface ComputedJob extends FailedJob, Pick<Job<QueuedData>, 'name' | 'data'> {
  updateProgress(progress: ProgressEvent[]): Promise<void>;
  /** Gives it back, for the next who takes one. */
  moveToWait(token?: string): Promise<unknown>;
}

/** The message was given back to its line, for the next who takes one: this was no attempt. */
export class GivenBack extends Error {
  override readonly name = 'GivenBack';
}

/**
 * What a worker does about a message: a child does it, and what the child cannot say any more is said for it.
 * @returns what gives the milliseconds that a job took which succeeded, null for any other, and throws GivenBack, or what is an attempt's failure
 */
export function computeInChildren(
  pool: JobPool,
  stores: Pick<Stores, 'find'>,
  limits: JobLimits,
  log: Logger,
  watchers: readonly AttemptWatcher[] = [],
): (job: ComputedJob, token: string | undefined, signal: AbortSignal) => Promise<number | null> {
  return async (job, token, signal) => {
    const { id = '', name, data } = job;
    const attempt = new WatchedAttempt(watchers, { id, name, data });
    let took: number | null;
    try {
      took = await compute(job, token, signal, attempt);
    } catch (error) {
      await attempt.ended(error instanceof GivenBack ? { how: 'returned' } : { how: 'failed', error });
      throw error;
    }
    await attempt.ended({ how: 'done' });
    return took;
  };

  async function compute(
    job: ComputedJob,
    token: string | undefined,
    signal: AbortSignal,
    attempt: WatchedAttempt,
  ): Promise<number | null> {
    const { id = '', name, data, processedOn, progress } = job;
    const fields = jobFields(job);
    // A child that has to be started holds up everything for some ten milliseconds: what has arrived meanwhile is answered first.
    await setImmediate();
    const start = performance.now();
    try {
      const tell = tellInTurn(job);
      const onNews = (told: readonly ProgressEvent[]) => {
        attempt.progressed(told);
        tell(told);
      };
      const message = { id, name, data, processedOn, progress, traceId: attempt.traceId };
      const run = { timeMs: limits.timeMs, signal, patienceMs: PATIENCE_MS, onNews };
      const end = await pool.run(message, run);
      if (end !== 'returned') return end === 'succeeded' ? Math.round(performance.now() - start) : null;
    } catch (error) {
      if (!(error instanceof ChildFailure)) throw error;
      attempt.lostChild(error, signal.reason);
      const store = await stores.find(tenantOf(data));
      // Of a tenant that was deleted nothing is left to end.
      if (!store) return null;
      // It could not remove what it had not published.
      await store.sweep().catch((cause) => log.warn({ err: cause, ...fields }, 'not swept'));
      const outcome = signal.reason === 'shutdown' ? null : outcomeOf(error, signal, limits);
      if (outcome) {
        await endJob(store, job, outcome, signal);
        return null;
      }
      if (!signal.aborted) throw error;
    }
    const returned = job
      .moveToWait(token)
      // What stays locked is found by the next worker.
      .catch((error) => log.warn({ err: error, ...fields }, 'not returned to the queue'));
    await Promise.race([returned, sleep(RETURN_MS, undefined, { ref: false })]);
    throw new GivenBack();
  }
}

type Outcome = Pick<JobResult, 'status' | 'error'>;

/** How the job ends whose child has ended so; null where another attempt may end otherwise. */
function outcomeOf(failure: ChildFailure, signal: AbortSignal, limits: JobLimits): Outcome | null {
  const failed = (error: EmpError) => ({ status: 'failed', error: inputFailure(error) }) as const;
  if (signal.aborted) return CANCELED;
  if (failure.how === 'out_of_time') return failed(outOfTime(limits));
  if (failure.isOutOfMemory) return failed(outOfMemory(limits));
  if (FAULTS.includes(failure.end.signal)) return { status: 'failed', error: crashFailure(failure, 1) };
  return null;
}

async function endJob(store: Store, job: ComputedJob, outcome: Outcome, signal: AbortSignal): Promise<void> {
  const { id = '', processedOn } = job;
  const record = await store.readRecord<JobRecord>('jobs', id);
  if (!record) return;
  const started_at = processedOn === undefined ? null : startOf(record, processedOn);
  const result = { ...outcome, started_at, progress: progressOf(job) };
  await retryWrite(() => writeResult(store, id, result), mayPass, signal.aborted ? undefined : signal);
}

/** Tells a job's progress in the order in which it was made, and lets it be lost: to BullMQ, one that cannot be told is a failure of the job. */
function tellInTurn(job: ComputedJob): (progress: readonly ProgressEvent[]) => void {
  let told = Promise.resolve();
  return (progress) => {
    told = told.then(() => job.updateProgress([...progress])).catch(() => {});
  };
}
