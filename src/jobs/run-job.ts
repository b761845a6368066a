import { EmpError } from '../core/errors.ts';
import { isNoRoom } from '../storage/durable-files.ts';
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

/** What is done for a job; an EmpError thrown is the job's outcome, any other error a reason to try again. */
export type Work = (
  record: JobRecord,
  context: WorkContext,
) => Promise<Pick<JobResult, 'summary' | 'artifacts' | 'timings_ms'>>;

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
    const record = await store.readRecord<JobRecord>('jobs', id);
    // Deleted; or a crash came after the result and before the queue heard of it.
    if (!record || (await readResult(store, id))) return 'done';
    const started_at = startOf(record, message.processedOn ?? Date.now());
    const progress = new ProgressReporter(progressOf(message), workshop.tell);
    const output = await store.createUpload();
    // With the end known, nothing is left of the attempt.
    const end = async (outcome: Omit<Partial<JobResult>, 'status'> & Pick<JobResult, 'status'>) => {
      await output.discard();
      const result = { started_at, progress: progress.events, ...outcome };
      // A full disk must not cost what has been computed. A canceled job waits for room too: its signal says nothing more.
      const patience = outcome === CANCELED ? undefined : signal;
      await retryWrite(() => writeResult(store, id, result), isNoRoom, patience);
      return 'done' as const;
    };
    try {
      if (await isCancelAsked(store, id)) return await end(CANCELED);
      signal.throwIfAborted();
      const onProgress = (update: JobProgress) => progress.report(update);
      const outcome = await work(record, { ...workshop, outputDirectory: output.files, onProgress });
      // Slower than another worker that was given the job meanwhile: the job has its artifacts, or was canceled.
      if (!(await readResult(store, id)))
        await retryWrite(() => store.publishFiles('jobs', id, output), isNoRoom, signal);
      return await end({ status: 'succeeded', ...outcome });
    } catch (thrown) {
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

/** What went wrong as a client may read it: where this process works is nobody's business. */
function withoutPath(error: unknown, directory: string): unknown {
  if (error instanceof Error) error.message = error.message.replaceAll(directory, '');
  return error;
}
