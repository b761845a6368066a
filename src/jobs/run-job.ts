import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { EmpError } from '../core/errors.ts';
import { OUTCOME_FILE } from '../pipeline/artifact-names.ts';
import { diskFault, mayPass } from '../storage/disk-faults.ts';
import { isCode, writeDurably } from '../storage/durable-files.ts';
import type { Store, Upload } from '../storage/store.ts';
import { isCancelAsked } from './cancel-request.ts';
import { type JobProgress, type JobRecord, type JobResult, startOf } from './job.ts';
import { namingMemory } from './job-limits.ts';
import { ProgressReporter, progressOf } from './progress-events.ts';
import { inputFailure, readResult, writeResult } from './result.ts';
import { retryWrite } from './retry-write.ts';
import type { Message, Task, Workshop } from './tasks/task.ts';

export interface WorkContext extends Workshop {
  /** Empty folder for the artifacts. */
  readonly outputDirectory: string;
  onProgress(progress: JobProgress): void;
}

type Outcome = Pick<JobResult, 'summary' | 'artifacts' | 'timings_ms' | 'warnings'>;

/** What is done for a job; an EmpError thrown is the job's outcome, any other error a reason to try again. */
export type Work = (record: JobRecord, context: WorkContext) => Promise<Outcome>;

/** How a job ends that was canceled while it ran. */
export const CANCELED = {
  status: 'canceled',
  error: inputFailure(new EmpError('canceled', 'The job was canceled.')),
} as const;

/**
 * The task of messages that stand for a job: `work` with all that surrounds it. `done`: the job has ended one way or another, and its result says
 * how. A job that was taken from a dead worker starts anew, in a folder of its own, and gives the same bytes.
 */
export function jobTask<D>(work: Work): Task<D>['run'] {
  return async (message: Message<D>, workshop: Workshop) => {
    const { store, signal } = workshop;
    const { id } = message;
    const begin = async () => {
      const record = await store.readRecord<JobRecord>('jobs', id);
      // Deleted; or a crash came after the result and before the queue heard of it.
      if (!record || (await readResult(store, id))) return null;
      return { record, output: await store.createUpload() };
    };
    // While the directory is gone or takes no writes, every job that is waiting would fail.
    const begun = await retryWrite(begin, mayPass, signal).catch((error) => {
      if (!signal.aborted) throw error;
    });
    if (begun === undefined) return 'returned';
    if (begun === null) return 'done';
    const { record, output } = begun;
    const started_at = startOf(record, message.processedOn ?? Date.now());
    const progress = new ProgressReporter(progressOf(message), workshop.tell);
    // With the end known, nothing is left of the attempt.
    const end = async (outcome: Omit<Partial<JobResult>, 'status'> & Pick<JobResult, 'status'>) => {
      await output.discard();
      const result = { started_at, progress: progress.events, ...outcome };
      // A full disk must not cost what has been computed. A canceled job waits for room too: its signal says nothing more.
      const patience = outcome === CANCELED ? undefined : signal;
      await retryWrite(() => writeResult(store, id, result), mayPass, patience);
      return outcome.status === 'succeeded' ? outcome.status : 'done';
    };
    try {
      if (await isCancelAsked(store, id)) return await end(CANCELED);
      signal.throwIfAborted();
      const standing = await readOutcome(store, id);
      if (standing) return await end({ status: 'succeeded', ...standing });
      const onProgress = (update: JobProgress) => progress.report(update);
      const outcome = await work(record, { ...workshop, outputDirectory: output.files, onProgress });
      // Slower than a cancellation: the job has ended.
      if (await readResult(store, id)) return 'done';
      const published = await retryWrite(() => publish(store, id, output, outcome), mayPass, signal);
      return await end({ status: 'succeeded', ...published });
    } catch (thrown) {
      if (diskFault(thrown)) await roomAgain(output, store, signal);
      if (signal.reason === 'canceled') return await end(CANCELED);
      if (signal.aborted) return 'returned';
      const error = namingMemory(thrown, workshop);
      if (!(error instanceof EmpError)) throw withoutPath(error, output.files);
      return await end({ status: 'failed', error: inputFailure(error) });
    } finally {
      await output.discard();
    }
  };
}

/** What others have filled, an attempt waits for, so that those that it has are not over before there is room. What it has filled itself is free at once. */
async function roomAgain(output: Upload, store: Store, signal: AbortSignal): Promise<void> {
  await output.discard();
  const isFull = (error: unknown) => error instanceof EmpError && error.code === 'insufficient_storage';
  const isPassing = (error: unknown) => mayPass(error) || isFull(error);
  await retryWrite(() => store.ping(), isPassing, signal).catch((error) => {
    if (!signal.aborted) throw error;
  });
}

/**
 * Publishes what an attempt has made together with what it found, at once. Of two that compute a job at the same time, because its queue
 * forgot it or its worker was taken for dead, the first is heard: artifacts and result are of one attempt.
 * @returns what stands
 */
async function publish(store: Store, id: string, output: Upload, outcome: Outcome): Promise<Outcome> {
  await writeDurably(join(output.files, OUTCOME_FILE), JSON.stringify(outcome));
  if (await store.publishFiles('jobs', id, output)) return outcome;
  const standing = await readOutcome(store, id);
  if (standing) return standing;
  throw new Error('artifacts without an outcome, of a version before it, stand in the place');
}

/** What an attempt has published; null where none has. */
async function readOutcome(store: Store, id: string): Promise<Outcome | null> {
  try {
    return (await json(store.readFile('jobs', id, OUTCOME_FILE))) as Outcome;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}

/** What went wrong as a client may read it: where this process works is nobody's business. */
function withoutPath(error: unknown, directory: string): unknown {
  if (error instanceof Error) error.message = error.message.replaceAll(directory, '');
  return error;
}
