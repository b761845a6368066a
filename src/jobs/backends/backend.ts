import { setTimeout as sleep } from 'node:timers/promises';
import {
  type BackendFactory,
  type IQueueBackend,
  type Job,
  type JobsOptions,
  type Processor,
  type Queue,
  type QueueEvents,
  type Telemetry,
  type Worker,
  type WorkerOptions,
  withBackend,
} from 'bullmq';
import { KEPT_NEWS, type Lane } from '../job-lanes.ts';
import type { QueuedMessage } from '../tasks/registry.ts';
import type { DeliveryMessage } from '../webhooks/delivery.ts';

/** Their names in Redis and in the database. */
const QUEUE_NAMES: Readonly<Record<Lane, string>> = { short: 'emp-short-jobs', long: 'emp-jobs' };
const DELIVERIES = 'emp-webhooks';

/** How soon a refused worker asks again. */
const REFUSED_MS = 1000;

/** What all messages hold, of whatever kind: ids. Everything else is in the store. */
export type QueuedData = QueuedMessage[1];

/** A message, and how often it is tried. */
export interface BulkMessage {
  readonly name: QueuedMessage[0];
  readonly data: QueuedData;
  readonly opts: JobsOptions & { jobId: string };
}

/** Who can tell news of a job to all `JobQueueEvents`. */
export interface NewsSender {
  getBackend(): Pick<IQueueBackend, 'publishEvent'>;
}

/** What is used of BullMQ's classes. `on` is spelled out: theirs returns the class, which names its backend. */
export interface JobQueue
  extends NewsSender,
    Pick<
      Queue<QueuedData>,
      | 'getJob'
      | 'getJobState'
      | 'getJobCounts'
      | 'getRanges'
      | 'remove'
      | 'close'
      | 'disconnect'
      | 'waitUntilReady'
    > {
  /** A message of an id that is in the queue changes nothing. */
  addBulk(messages: BulkMessage[]): Promise<unknown>;
  on(event: 'error', listener: (error: Error) => void): unknown;
}
export interface JobQueueEvents extends Pick<QueueEvents, 'close' | 'disconnect' | 'waitUntilReady'> {
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'completed', listener: (ended: { jobId: string; returnvalue: unknown }) => void): unknown;
  /** Any other name is that of news. */
  on(event: string, listener: (news: { jobId: string }) => void): unknown;
}
export interface QueueWorker
  extends NewsSender,
    Pick<Worker<QueuedData>, 'close' | 'disconnect' | 'cancelJob' | 'cancelAllJobs' | 'waitUntilReady'> {
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'active' | 'completed', listener: (job: Job<QueuedData>) => void): unknown;
  on(event: 'failed', listener: (job: Job<QueuedData> | undefined, error: Error) => void): unknown;
  on(event: 'stalled', listener: (jobId: string) => void): unknown;
  on(event: 'lockRenewalFailed', listener: (jobIds: string[]) => void): unknown;
  on(event: 'locksRenewed', listener: (renewed: { jobIds: string[] }) => void): unknown;
}
/** Where webhooks wait for their time: no job is computed for them. */
export interface DeliveryMessages
  extends Pick<
    Queue<DeliveryMessage>,
    'addBulk' | 'getJob' | 'getRanges' | 'close' | 'disconnect' | 'waitUntilReady'
  > {
  on(event: 'error', listener: (error: Error) => void): unknown;
}
export interface DeliveryMessageWorker
  extends Pick<Worker<DeliveryMessage>, 'close' | 'disconnect' | 'waitUntilReady'> {
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'failed', listener: (job: Job<DeliveryMessage> | undefined, error: Error) => void): unknown;
}

/** Does what a message asks for. What it throws is a failed attempt, but for BullMQ's `WaitingError`: the message was given back. */
export type QueueProcessor = Processor<QueuedData, unknown>;
export type QueueWorkerOptions = Omit<WorkerOptions, 'connection'>;

/**
 * Where the queue lives. Deliberately not in it: anything about jobs. The same BullMQ classes run on every backend; a backend only
 * knows how to connect them, whether the other side answers, and how to hang up (after the classes made here are closed).
 */
export interface Backend {
  readonly kind: 'redis' | 'postgres' | 'embedded';
  createQueue(lane: Lane): JobQueue;
  createQueueEvents(lane: Lane): JobQueueEvents;
  createWorker(lane: Lane, processor: QueueProcessor, options: QueueWorkerOptions): QueueWorker;
  createDeliveryQueue(): DeliveryMessages;
  createDeliveryWorker(
    processor: Processor<DeliveryMessage, void>,
    options: QueueWorkerOptions,
  ): DeliveryMessageWorker;
  /** Writes a little. Rejects when the queue's server does not answer, or takes no writes: it is full, or a replica. */
  ping(): Promise<void>;
  /** Calls back whenever the server is there again after it was away; only of one that may have forgotten jobs meanwhile. */
  onReturn?(listener: () => void): void;
  close(): Promise<void>;
}

/** What can say whether a queue takes writes. */
export type Pinged = Pick<Backend, 'ping'>;

/** The constructors of a backend, from its BullMQ factory, what each side connects with, and what traces them. */
export function bindConstructors<B extends IQueueBackend, C>(
  factory: BackendFactory<B, C>,
  connections: { readonly producer: C; readonly consumer: C },
  telemetry?: Telemetry,
): Omit<Backend, 'kind' | 'ping' | 'onReturn' | 'close'> {
  const { Queue, QueueEvents, Worker } = withBackend(patient(factory));
  const { producer, consumer } = connections;
  const traced = telemetry && { telemetry };
  return {
    createQueue: (lane) =>
      new Queue<QueuedData>(QUEUE_NAMES[lane], {
        connection: producer,
        streams: { events: { maxLen: KEPT_NEWS } },
        ...traced,
      }),
    // From the first that is kept, as between now and the first one that comes some would be lost; old ones concern nobody.
    createQueueEvents: (lane) =>
      new QueueEvents(QUEUE_NAMES[lane], { connection: consumer, lastEventId: '0' }),
    createWorker: (lane, processor, options) =>
      new Worker<QueuedData>(QUEUE_NAMES[lane], processor, { ...options, ...traced, connection: consumer }),
    createDeliveryQueue: () =>
      new Queue<DeliveryMessage>(DELIVERIES, {
        connection: producer,
        streams: { events: { maxLen: KEPT_NEWS } },
      }),
    createDeliveryWorker: (processor, options) =>
      new Worker<DeliveryMessage, void>(DELIVERIES, processor, { ...options, connection: consumer }),
  };
}

/**
 * BullMQ's worker asks for the next job at once where the last answer was a refusal: that of a server out of memory, or a disk without room.
 * It would ask thousands of times a second, and where the queue lives in this process nothing else would get a turn.
 */
function patient<B extends IQueueBackend, C>(factory: BackendFactory<B, C>): BackendFactory<B, C> {
  return (...args) => {
    const backend = factory(...args);
    const claim = backend.moveToActive.bind(backend);
    backend.moveToActive = async (...request) => {
      try {
        return await claim(...request);
      } catch (error) {
        await sleep(REFUSED_MS);
        throw error;
      }
    };
    return backend;
  };
}
