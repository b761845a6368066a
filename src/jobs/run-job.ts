import type { SandboxedJob } from 'bullmq';
import { EmpError } from '../core/errors.ts';
import type { ExecutionProvider } from '../runtime/session.ts';
import { FolderStore } from '../storage/folder-store.ts';
import type { Store } from '../storage/store.ts';
import type { QueuedJob } from './backends/backend.ts';
import { watchCancellation } from './cancellation.ts';
import { readChildSettings } from './child-settings.ts';
import { type JobProgress, type JobRecord, type JobResult, startOf } from './job.ts';
import { ProgressWriter } from './progress-log.ts';
import { inputFailure, readResult, writeResult } from './result.ts';

export const PROGRESS = 'progress.ndjson';

export interface WorkContext {
  readonly store: Store;
  /** Empty folder for the artifacts. */
  readonly outputDirectory: string;
  readonly threads: number;
  /** What models run on, in order of preference. */
  readonly providers: readonly ExecutionProvider[];
  /** Aborts when the job is canceled or the worker shuts down. */
  readonly signal: AbortSignal;
  onProgress(progress: JobProgress): void;
}

/** What is done for a job; an EmpError thrown is the job's outcome, any other error a reason to try again. */
export type Work = (
  record: JobRecord,
  context: WorkContext,
) => Promise<Pick<JobResult, 'summary' | 'artifacts' | 'timings_ms'>>;

/** A sandboxed processor for BullMQ: `work` with all that surrounds it, to be a processor file's default export. */
export async function createProcessor(work: Work) {
  // The parent is gone, and with it the lock on the job: another worker will take it up.
  process.once('disconnect', () => process.exit(1));
  const { storeRoot, threads, providers } = readChildSettings();
  const store = await FolderStore.open(storeRoot);
  return async (job: SandboxedJob<QueuedJob>, _token: string, shutdown: AbortSignal): Promise<void> => {
    const ended = await runJob(job.id, job.processedOn ?? Date.now(), {
      store,
      threads,
      providers,
      shutdown,
      work,
    });
    // BullMQ knows by this name that the job has been moved already, as the worker did before it told.
    if (!ended) throw Object.assign(new Error('returned to the queue'), { name: 'WaitingError' });
  };
}

interface Surroundings {
  readonly store: Store;
  readonly threads: number;
  readonly providers: readonly ExecutionProvider[];
  readonly shutdown: AbortSignal;
  readonly work: Work;
}

/**
 * Runs a job to its result. True: it has ended one way or another, and `result.json` says how. False: `shutdown` came first. Throws what
 * makes the queue try again. A job that was taken from a dead worker starts anew, in a folder of its own, and gives the same bytes.
 */
async function runJob(id: string, processedOn: number, surroundings: Surroundings): Promise<boolean> {
  const { store, threads, providers, shutdown, work } = surroundings;
  const record = await store.readRecord<JobRecord>('jobs', id);
  // Deleted; or a crash came after the result and before the queue heard of it.
  if (!record || (await readResult(store, id))) return true;
  const started_at = startOf(record, processedOn);
  const output = await store.createUpload();
  const outputDirectory = output.files;
  using cancellation = await watchCancellation(store, id);
  using progress = new ProgressWriter(store.path('jobs', id, PROGRESS));
  const signal = AbortSignal.any([shutdown, cancellation.signal]);
  const onProgress = (update: JobProgress) => progress.report(update);
  try {
    signal.throwIfAborted();
    const outcome = await work(record, { store, outputDirectory, threads, providers, signal, onProgress });
    // Slower than another worker that was given the job meanwhile: the job has its artifacts, or was canceled.
    if (!(await readResult(store, id))) await store.publishFiles('jobs', id, output);
    await writeResult(store, id, { status: 'succeeded', started_at, ...outcome });
    return true;
  } catch (error) {
    if (cancellation.signal.aborted) {
      const canceled = new EmpError('canceled', 'The job was canceled.');
      await writeResult(store, id, { status: 'canceled', started_at, error: inputFailure(canceled) });
      return true;
    }
    if (shutdown.aborted) return false;
    if (!(error instanceof EmpError)) throw withoutPath(error, outputDirectory);
    await writeResult(store, id, { status: 'failed', started_at, error: inputFailure(error) });
    return true;
  } finally {
    await output.discard();
  }
}

/** What went wrong as a client may read it: where this process works is nobody's business. */
function withoutPath(error: unknown, directory: string): unknown {
  if (error instanceof Error) error.message = error.message.replaceAll(directory, '');
  return error;
}
