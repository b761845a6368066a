import type { SandboxedJob } from 'bullmq';
import type { ExecutionProvider } from '../../runtime/session.ts';
import type { Store } from '../../storage/store.ts';

/** Why a task's signal aborts: its job was canceled, or the worker shuts down and has given the message back to the queue. */
export type StopReason = 'canceled' | 'shutdown';

/** What a child process lends to the message that it works on. */
export interface Workshop {
  readonly store: Store;
  /** Threads that it may compute on. */
  readonly threads: number;
  /** What models run on, in order of preference. */
  readonly providers: readonly ExecutionProvider[];
  /** Its reason is a `StopReason`. */
  readonly signal: AbortSignal;
}

/** What of a queue's message its task sees. */
export type Message<D> = Pick<
  SandboxedJob<D>,
  'id' | 'name' | 'data' | 'processedOn' | 'progress' | 'updateProgress'
>;

/** What a file of this folder exports: what is done about a message, in a child of a worker. */
export interface Task<D> {
  /**
   * Returns `done` when nothing more is to be done, `returned` when the worker has given the message back. Throws what makes the queue
   * try again.
   */
  run(message: Message<D>, workshop: Workshop): Promise<'done' | 'returned'>;
}
