import { fileURLToPath } from 'node:url';
import { EmpError } from '../core/errors.ts';
import type { Store } from '../storage/store.ts';
import { ChildFailure } from './child-pool.ts';
import { type JobFailure, type JobRecord, type JobResult, resourcesOf, startOf } from './job.ts';
import { progressOf } from './progress-events.ts';

const RESULT = 'result.json';

/** How a job ended; null while it has not, or is not there. */
export function readResult(store: Store, id: string): Promise<JobResult | null> {
  return store.readJson<JobResult>('jobs', id, RESULT);
}

/**
 * Settles how a job ended. A job ends once: of several that say so (a cancellation, a worker that lost the job and did not notice) the
 * first is heard.
 */
export async function writeResult(
  store: Store,
  id: string,
  outcome: Pick<JobResult, 'status' | 'started_at'> & Partial<JobResult>,
): Promise<void> {
  const finished_at = new Date().toISOString();
  const nothing = { error: null, summary: null, artifacts: [], timings_ms: null };
  const result: JobResult = { finished_at, ...nothing, ...outcome };
  await store.decideOnce({ kind: 'jobs', id, name: RESULT }, JSON.stringify(result));
  const record = await store.readRecord<JobRecord>('jobs', id);
  await store.removeUnfinished(id, record ? resourcesOf(record) : []);
}

/** What the queue knows of a job that failed. */
export interface FailedJob {
  readonly id?: string | undefined;
  readonly attemptsMade: number;
  readonly processedOn?: number | undefined;
  readonly progress: unknown;
}

/** Gives a job its result when the queue has given it up, unless it has one: what its child could not write itself. @returns whether it gave one */
export async function settleFailure(store: Store, job: FailedJob, error: Error): Promise<boolean> {
  if (!job.id || (await readResult(store, job.id))) return false;
  const record = await store.readRecord<JobRecord>('jobs', job.id);
  if (!record) return false;
  const started_at = job.processedOn === undefined ? null : startOf(record, job.processedOn);
  const failure = serviceFailure(error, job.attemptsMade, store);
  const progress = progressOf(job);
  await writeResult(store, job.id, { status: 'failed', started_at, error: failure, progress });
  return true;
}

/** What a client is told of a failure that its input caused. */
export function inputFailure(error: EmpError): JobFailure {
  return { code: error.code, detail: error.message, errors: error.findings };
}

/** Where this program lies. */
const PROGRAM = fileURLToPath(new URL('../..', import.meta.url));

/** What a client is told of a failure of ours, after the last attempt: its kind and cause, no stack and no path of this machine. */
export function serviceFailure(error: Error, attempts: number, store: Store): JobFailure {
  if (error instanceof ChildFailure) return crashFailure(error, attempts);
  // As the queue keeps it of a worker that died before it could write the result.
  const kept = /^the computing process ended (?:by (\S+)|with code (\d+))$/.exec(error.message);
  if (kept) return crashFailure({ end: { signal: kept[1] ?? null, code: Number(kept[2]) } }, attempts);
  const times = timesOf(attempts);
  if (/stalled more than/.test(error.message))
    return workerCrashed('The worker disappeared while computing, more often than a job is taken up again.');
  if (error.message.startsWith('ENOSPC'))
    return inputFailure(
      new EmpError('insufficient_storage', `The data directory had no room left, ${times}.`),
    );
  return {
    code: 'internal_error',
    detail: `The job failed ${times}: ${reasonOf(error, store.root)}`,
    errors: [],
  };
}

/** The first line of what went wrong, without paths of this machine. @param root of the store that has the job */
export function reasonOf(error: unknown, root: string): string {
  const message = error instanceof Error ? error.message : String(error);
  return (message.split('\n')[0] ?? '').replaceAll(root, '').replaceAll(PROGRAM, '');
}

/** What a client is told where the process that computed the job has crashed. */
export function crashFailure(
  {
    end: { code, signal },
  }: { readonly end: { readonly code: number | null; readonly signal: string | null } },
  attempts: number,
): JobFailure {
  const hint = signal === 'SIGKILL' ? ' Memory may have run out.' : '';
  return workerCrashed(
    `The computing process ended ${signal ? `by ${signal}` : `with code ${code}`} ${timesOf(attempts)}.${hint}`,
  );
}

function timesOf(attempts: number): string {
  return attempts === 1 ? 'once' : `in each of ${attempts} attempts`;
}

function workerCrashed(detail: string): JobFailure {
  return inputFailure(new EmpError('worker_crashed', detail));
}
