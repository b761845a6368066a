import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { EmpError } from '../core/errors.ts';
import { freshId } from '../storage/ids.ts';
import type { Store } from '../storage/store.ts';
import { answerInTime } from './answer-in-time.ts';
import type { Backend, Pinged } from './backends/backend.ts';
import { askToCancel } from './cancel-request.ts';
import { followJob, type JobNews } from './follow-job.ts';
import { type Job, type JobRecord, type JobRequest, resourcesOf } from './job.ts';
import { type Lane, laneOf } from './job-lanes.ts';
import type { JobCounts, Retry } from './job-line.ts';
import { JobLists } from './job-lists.ts';
import { JobReader } from './job-reader.ts';
import { JobWatches } from './job-watches.ts';
import { type LaneQueues, openLaneQueues } from './lane-queues.ts';
import { progressOf } from './progress-events.ts';
import { neededBy, recoverJobs } from './recovery.ts';
import { keyReused, requestHash, sha256 } from './request-hash.ts';
import { inputFailure, readResult, writeResult } from './result.ts';

/** A running job has ended by then: one that does not hear is killed after a second. */
const CANCEL_WAIT_MS = 2000;
/** How long a look at the queue and the disk holds, but for the jobs submitted since. */
const ROOM_MS = 1000;
/** Hanging up on a server that answers takes milliseconds. */
const CLOSE_MS = 2000;
const DEFAULT_RETRY = { attempts: 3, backoffMs: 1000 };
/** How long a job that the queue has forgotten, and nobody asks for, may wait for it; one held up by a clock set back twice as long. */
const RECOVERY_MS = 20_000;
const DEFAULT_MAX_QUEUED = 10_000;

export interface JobsOptions {
  readonly store: Store;
  readonly backend: Backend;
  readonly log: Logger;
  readonly retry?: Retry;
  /** Jobs that may wait; more are refused. */
  readonly maxQueued?: number;
}

export async function openJobs(options: JobsOptions): Promise<Jobs> {
  const { backend, store, log, retry = DEFAULT_RETRY } = options;
  const jobs = new Jobs(options, await openLaneQueues(backend, store, log, retry));
  options.backend.onReturn?.(() => {
    jobs.recover().catch((error) => options.log.warn({ err: error }, 'recovery'));
  });
  return jobs;
}

/**
 * Jobs as clients know them. The store holds the truth, each job's request, progress and result; the queue says only who computes what
 * when, and is rebuilt from the store by `recover`. So nothing acknowledged is lost, and a finished job needs no queue.
 */
export class Jobs {
  readonly list: JobLists['page'];
  readonly #store: Store;
  readonly #backend: Pinged;
  readonly #log: Logger;
  readonly #queues: LaneQueues;
  readonly #reader: JobReader;
  readonly #watches: JobWatches;
  readonly #maxQueued: number;
  readonly #closing = new AbortController();
  #recovering = Promise.resolve();
  /** How many more jobs may wait, as of the last look less those submitted since. */
  #room = { until: 0, left: 0 };

  constructor(options: Omit<JobsOptions, 'retry' | 'backend'> & { backend: Pinged }, queues: LaneQueues) {
    this.#store = options.store;
    this.#backend = options.backend;
    this.#log = options.log;
    this.#queues = queues;
    this.#reader = new JobReader(this.#store, queues.lines, this.#log);
    const lists = new JobLists(this.#store, this.#reader);
    this.list = (...asked) => lists.page(...asked);
    this.#maxQueued = options.maxQueued ?? DEFAULT_MAX_QUEUED;
    this.#watches = new JobWatches({
      look: (id) => this.#reader.look(id),
      subscribe: (id) => queues.wakeups.subscribe(id),
    });
  }

  /**
   * Records a job durably and queues it. With a key seen before, returns the job it was first used for.
   * @param publish makes what came with the request visible; called only for a new job that nothing is known to stand against
   * @throws EmpError idempotency_key_reused when the key came with another request, not_ready when the queue does not answer
   */
  async submit(
    request: JobRequest,
    idempotencyKey?: string,
    publish: () => Promise<void> = async () => {},
  ): Promise<{ job: Job; created: boolean }> {
    // A version may choose another lane for it.
    const { lane: _, ...asked } = request;
    const request_sha256 = requestHash(asked);
    const key =
      idempotencyKey === undefined ? null : ({ kind: 'idempotency', id: sha256(idempotencyKey) } as const);
    const known = key && (await this.#store.readAnswer(key));
    if (!known || !(await this.#store.readRecord('jobs', known))) await this.requireRoom();
    const fresh = freshId('job');
    const id = key ? await this.#store.decideOnce(key, fresh) : fresh;
    const existing = await this.#store.readRecord<JobRecord>('jobs', id);
    if (!existing) await publish();
    const { record, created } = existing
      ? { record: existing, created: false }
      : await this.#publish({ id, created_at: new Date().toISOString(), ...request, request_sha256 }, !key);
    if (record.request_sha256 !== request_sha256) throw keyReused(id);
    try {
      if (created || !(await readResult(this.#store, id))) await this.#queues.lines.add([record]);
    } catch (error) {
      // With a key the record stays for the retry, and for whoever sent the key at the same time and was told that all is well.
      if (created && !key) {
        await this.#store.remove('jobs', id);
        await this.#store.removeUnfinished(id, resourcesOf(record));
      }
      throw error;
    }
    return { job: await this.#reader.describe(record), created };
  }

  get(id: string): Promise<Job | null> {
    return this.#reader.get(id);
  }

  /** Ends a job: a waiting one at once, a running one within two seconds. A finished one stays as it is; null when there is none. */
  async cancel(id: string): Promise<Job | null> {
    const record = await this.#store.readRecord<JobRecord>('jobs', id);
    if (!record) return null;
    if (!(await readResult(this.#store, id))) {
      // First the word to the child: the job may start, or start again, at any moment before it is out of the queue.
      await askToCancel(this.#store, id);
      const news = this.#queues.news[laneOf(record)];
      const { progress: told, isOut } = await this.#queues.lines.remove(record);
      if (isOut) {
        const error = inputFailure(new EmpError('canceled', 'The job was canceled before it ran.'));
        const progress = progressOf({ progress: told });
        await writeResult(this.#store, id, { status: 'canceled', started_at: null, error, progress });
        news.tellEnded(id);
      }
      // Also of a job that the queue does not know: its worker may have been forgotten with it.
      news.tellCancelAsked(id);
    }
    return this.wait(id, CANCEL_WAIT_MS);
  }

  /** @throws EmpError conflict while the job is queued or running, or a search shows what it found. False when there is none. */
  async delete(id: string): Promise<boolean> {
    const record = await this.#store.readRecord<JobRecord>('jobs', id);
    if (!record) return false;
    if (!(await readResult(this.#store, id)))
      throw new EmpError('conflict', `job ${id} has not finished: cancel it first`);
    if (record.search_id && (await this.#store.readRecord('searches', record.search_id)))
      throw new EmpError('conflict', `job ${id} is part of search ${record.search_id}: delete that first`);
    await this.#store.removeUnfinished(id, resourcesOf(record));
    return this.#store.remove('jobs', id);
  }

  /** The job when it has finished, or as it stands after `timeoutMs` or when `signal` aborts; null when there is none. */
  async wait(id: string, timeoutMs: number, signal?: AbortSignal): Promise<Job | null> {
    const over = AbortSignal.timeout(timeoutMs);
    const looks = this.#watches.looks(id, signal ? AbortSignal.any([over, signal]) : over);
    for await (const { end } of looks) if (end) return end.data;
    return this.get(id);
  }

  /**
   * The job's events after `lastEventId`, those of the past at once, then as they happen; nothing where there is no such job. Ends after the
   * terminal one, when `signal` aborts, or when the job is deleted.
   */
  follow(id: string, lastEventId: number, signal: AbortSignal): AsyncGenerator<JobNews, void> {
    return followJob(this.#watches.looks(id, signal), lastEventId);
  }

  /** The id of a job or search that has not ended and needs this model or dataset; null where none does. */
  neededBy(resourceId: string): Promise<string | null> {
    return neededBy(this.#store, resourceId);
  }

  /** Rejects when the queue does not take writes. */
  ping(): Promise<void> {
    return this.#backend.ping();
  }

  /** Unfinished jobs of each lane by what they wait for. @throws EmpError not_ready */
  counts(): Promise<Record<Lane, JobCounts>> {
    return this.#queues.lines.counts();
  }

  /** Queues again what the queue has lost. @throws EmpError not_ready */
  recover(): Promise<void> {
    return recoverJobs(this.#store, this.#queues.lines);
  }

  /** Recovers at once and every `intervalMs`, until this is closed. */
  keepRecovering(intervalMs: number = RECOVERY_MS): void {
    const { signal } = this.#closing;
    const recoverAgainAndAgain = async () => {
      while (!signal.aborted) {
        await this.recover().catch((error) => this.#log.warn({ err: error }, 'recovery'));
        await sleep(intervalMs, undefined, { signal }).catch(() => {});
      }
    };
    this.#recovering = recoverAgainAndAgain();
  }

  async close(): Promise<void> {
    // BullMQ waits for ever for the end of a connection that is about to be tried again.
    const closed = new AbortController();
    this.#closing.abort();
    const closing = this.#recovering.then(() => this.#queues.close());
    const patience = sleep(CLOSE_MS, undefined, { signal: closed.signal }).catch(() => {});
    await Promise.race([closing, patience]).finally(() => closed.abort());
  }

  /** @throws EmpError not_ready, queue_full, insufficient_storage where a new job would have to be refused half-way */
  async requireRoom(): Promise<void> {
    await answerInTime(this.#backend.ping(), this.#log);
    if (performance.now() > this.#room.until) await this.#lookForRoom();
    if (this.#room.left-- > 0) return;
    // What has ended since then is seen by the next who asks.
    this.#room.until = 0;
    const message = `${this.#maxQueued} ${this.#maxQueued === 1 ? 'job is' : 'jobs are'} waiting, and no more may: try again later`;
    throw new EmpError('queue_full', message);
  }

  async #lookForRoom(): Promise<void> {
    const [{ short, long }] = await Promise.all([this.counts(), this.#store.ping()]);
    const waiting = short.queued + short.retrying + long.queued + long.retrying;
    this.#room = { until: performance.now() + ROOM_MS, left: this.#maxQueued - waiting };
  }

  /** @param isOnlyOne whether nobody else may be publishing a job of this id */
  async #publish(record: JobRecord, isOnlyOne: boolean): Promise<{ record: JobRecord; created: boolean }> {
    const upload = await this.#store.createUpload();
    try {
      await this.#store.addUnfinished(record.id, resourcesOf(record));
      return await this.#store.publish('jobs', upload, record);
    } catch (error) {
      if (isOnlyOne && !(await this.#store.readRecord('jobs', record.id)))
        await this.#store.removeUnfinished(record.id, resourcesOf(record));
      throw error;
    } finally {
      await upload.discard();
    }
  }
}
