import type { Logger } from 'pino';
import type { Store } from '../../storage/store.ts';
import type { RunContext } from '../child-program.ts';
import type { ChildSettings } from '../child-settings.ts';
import type { ProgressEvent } from '../job.ts';

/** Why a task's signal aborts: its job was canceled, or the worker shuts down and has given the message back to the queue. */
export type StopReason = 'canceled' | 'shutdown';

/** What a child process lends to the message that it works on. Its signal's reason is a `StopReason`; what it tells is its progress, all of it each time. */
export interface Workshop
  extends RunContext<readonly ProgressEvent[]>,
    Pick<ChildSettings, 'threads' | 'providers' | 'memoryMebibytes'> {
  readonly store: Store;
  /** Null where no lines are asked for. */
  readonly log: Logger | null;
}

/** A message as its task sees it. */
export interface Message<D> {
  /** Of the job that it stands for. */
  readonly id: string;
  readonly name: string;
  readonly data: D;
  /** Milliseconds, by the clock of the queue's server. */
  readonly processedOn: number | undefined;
  /** What attempts before this one have told. */
  readonly progress: unknown;
  /** Of the trace that the attempt is part of, where there is one. */
  readonly traceId?: string | undefined;
}

/** What all messages hold. */
export interface TenantMessage {
  /** Whose store has everything else; absent for that of the service itself. */
  readonly tenant?: string;
  /** The id of the request that it came by, for lines about it. */
  readonly request_id?: string;
}

/** `succeeded` and `done`: nothing more is to be done. `returned`: the message goes back to the queue, as its worker shuts down. */
export type TaskEnd = 'succeeded' | 'done' | 'returned';

/** What a file of this folder exports: what is done about a message, in a child of a worker. */
export interface Task<D> {
  /** Throws what makes the queue try again. */
  run(message: Message<D>, workshop: Workshop): Promise<TaskEnd>;
}
