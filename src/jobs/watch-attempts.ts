import type { Job } from 'bullmq';
import type { QueuedData } from './backends/backend.ts';
import type { ChildFailure } from './child-pool.ts';
import type { ProgressEvent } from './job.ts';
import { progressOf } from './progress-events.ts';

/** What is known of a job whose attempt begins, without a look at its record. */
export interface AttemptedJob extends Pick<Job<QueuedData>, 'name' | 'data'> {
  readonly id: string;
}

/** How an attempt ended: its job has a result, was given back to the queue as the worker shuts down, or may be tried again. */
export type AttemptEnd =
  | { readonly how: 'done' | 'returned' }
  | { readonly how: 'failed'; readonly error: unknown };

/** Hears what becomes of one attempt. Nothing that it does may fail the job. */
export interface AttemptHearer {
  /** Of the trace that the attempt is part of, for the child's lines. */
  readonly traceId?: string;
  /** The child has come to a stage. */
  entered(stage: string): void;
  /** The child ended without an answer; `reason` is why it was asked to end, undefined where it was not. */
  lostChild?(failure: ChildFailure, reason: unknown): void;
  /** Waited for: it must not take long. */
  ended(end: AttemptEnd): Promise<void> | void;
}

/** Hears of the attempts that a worker makes. */
export interface AttemptWatcher {
  begin(job: AttemptedJob): AttemptHearer;
}

/** An attempt, and all who hear of it. */
export class WatchedAttempt {
  readonly #hearers: readonly AttemptHearer[];
  #stage: string | undefined;

  constructor(watchers: readonly AttemptWatcher[], job: AttemptedJob) {
    this.#hearers = watchers.map((watcher) => watcher.begin(job));
  }

  /** Where somebody traces it. */
  get traceId(): string | undefined {
    return this.#hearers.find(({ traceId }) => traceId !== undefined)?.traceId;
  }

  /** Takes the stages from what the child says of its progress, all of it each time; a child that was taken over might say anything. */
  progressed(progress: readonly ProgressEvent[]): void {
    const stage: unknown = progressOf({ progress }).at(-1)?.stage;
    if (typeof stage !== 'string' || stage === this.#stage) return;
    this.#stage = stage;
    this.entered(stage);
  }

  entered(stage: string): void {
    for (const hearer of this.#hearers) hearer.entered(stage);
  }

  lostChild(failure: ChildFailure, reason: unknown): void {
    for (const hearer of this.#hearers) hearer.lostChild?.(failure, reason);
  }

  async ended(end: AttemptEnd): Promise<void> {
    await Promise.all(this.#hearers.map((hearer) => hearer.ended(end)));
  }
}
