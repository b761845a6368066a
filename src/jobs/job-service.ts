import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { EmpError } from '../core/errors.ts';
import { freshId } from '../storage/ids.ts';
import type { Page, Store } from '../storage/store.ts';
import { answerInTime } from './answer-in-time.ts';
import type { Backend, JobQueue } from './backends/backend.ts';
import { askToCancel } from './cancel-request.ts';
import { followJob, type JobLook, LOOK_MS } from './follow-job.ts';
import { type Job, type JobEvent, type JobRecord, type JobRequest, resourcesOf } from './job.ts';
import { type JobNews, openJobNews } from './job-news.ts';
import { endedJob, unfinishedJob } from './job-state.ts';
import { endedProgress, progressOf } from './progress-events.ts';
import { requestHash, sha256 } from './request-hash.ts';
import { inputFailure, readResult, unfinishedJobs, writeResult } from './result.ts';

/** A running job has ended by then: one that does not hear of its cancellation is killed after a second. */
const CANCEL_WAIT_MS = 2000;
/** Hanging up on a server that answers takes milliseconds. */
const CLOSE_MS = 2000;
const DEFAULT_RETRY = { attempts: 3, backoffMs: 1000 };

export interface JobsOptions {
  readonly store: Store;
  readonly backend: Backend;
  readonly log: Logger;
  /** Attempts in all, and the pause before the second, doubled before each further one. */
  readonly retry?: { readonly attempts: number; readonly backoffMs: number };
}

export async function openJobs(options: JobsOptions): Promise<Jobs> {
  const queue = options.backend.createQueue();
  queue.on('error', (error) => options.log.warn({ err: error }, 'queue'));
  const [news] = await Promise.all([
    openJobNews(options.backend, queue, options.log),
    queue.waitUntilReady(),
  ]);
  const jobs = new Jobs(options, queue, news);
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
  readonly #store: Store;
  readonly #backend: Backend;
  readonly #log: Logger;
  readonly #queue: JobQueue;
  readonly #news: JobNews;
  readonly #retry: { readonly attempts: number; readonly backoffMs: number };

  constructor(options: JobsOptions, queue: JobQueue, news: JobNews) {
    this.#store = options.store;
    this.#backend = options.backend;
    this.#log = options.log;
    this.#retry = options.retry ?? DEFAULT_RETRY;
    this.#queue = queue;
    this.#news = news;
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
    await this.#ask(this.#backend.ping());
    const request_sha256 = requestHash(request);
    let id = freshId('job');
    if (idempotencyKey !== undefined)
      id = await this.#store.decideOnce({ kind: 'idempotency', id: sha256(idempotencyKey) }, id);
    const existing = await this.#store.readRecord<JobRecord>('jobs', id);
    if (!existing) await publish();
    const { record, created } = existing
      ? { record: existing, created: false }
      : await this.#publish({ id, created_at: new Date().toISOString(), ...request, request_sha256 });
    if (record.request_sha256 !== request_sha256) {
      throw new EmpError(
        'idempotency_key_reused',
        `this Idempotency-Key was used for job ${id}, whose request differs: use a new key for a new request`,
      );
    }
    try {
      if (created || !(await readResult(this.#store, id))) await this.#enqueue(record);
    } catch (error) {
      // With a key the record stays for the retry, and for whoever sent the key at the same time and was told that all is well.
      if (created && idempotencyKey === undefined) {
        await this.#store.remove('jobs', id);
        await this.#store.removeUnfinished(id);
      }
      throw error;
    }
    return { job: await this.#describe(record), created };
  }

  async get(id: string): Promise<Job | null> {
    const record = await this.#store.readRecord<JobRecord>('jobs', id);
    return record && this.#describe(record);
  }

  async list(limit: number, cursor?: string): Promise<Page<Job>> {
    const page = await this.#store.listRecords<JobRecord>('jobs', limit, cursor);
    return { ...page, data: await Promise.all(page.data.map((record) => this.#describe(record))) };
  }

  /** Ends a job: a waiting one at once, a running one within two seconds. A finished one stays as it is; null when there is none. */
  async cancel(id: string): Promise<Job | null> {
    const record = await this.#store.readRecord<JobRecord>('jobs', id);
    if (!record) return null;
    if (!(await readResult(this.#store, id))) {
      // First the word to the child: the job may start, or start again, at any moment before it is out of the queue.
      await askToCancel(this.#store, id);
      const queued = await this.#ask(this.#queue.getJob(id));
      await this.#ask(this.#queue.remove(id));
      if ((await this.#ask(this.#queue.getJobState(id))) === 'unknown') {
        const error = inputFailure(new EmpError('canceled', 'The job was canceled before it ran.'));
        const progress = progressOf(queued);
        await writeResult(this.#store, id, { status: 'canceled', started_at: null, error, progress });
        this.#news.tellEnded(id);
      }
      // Also of a job that the queue does not know: its worker may have been forgotten with it.
      this.#news.tellCancelAsked(id);
    }
    return this.wait(id, CANCEL_WAIT_MS);
  }

  /** @throws EmpError conflict while the job is queued or running. False when there is none. */
  async delete(id: string): Promise<boolean> {
    if (!(await this.#store.readRecord('jobs', id))) return false;
    if (!(await readResult(this.#store, id)))
      throw new EmpError('conflict', `job ${id} has not finished: cancel it first`);
    await this.#store.removeUnfinished(id);
    return this.#store.remove('jobs', id);
  }

  /** The job when it has finished, or as it stands after `timeoutMs` or when `signal` aborts; null when there is none. */
  async wait(id: string, timeoutMs: number, signal?: AbortSignal): Promise<Job | null> {
    const deadline = performance.now() + timeoutMs;
    using news = this.#news.subscribe(id);
    while (!signal?.aborted && !(await readResult(this.#store, id))) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0 || !(await this.#store.readRecord('jobs', id))) break;
      await news.next(Math.min(LOOK_MS, leftMs), signal);
    }
    return this.get(id);
  }

  /**
   * The job's events after `lastEventId`, those of the past at once, then as they happen. Ends after the terminal one, when `signal`
   * aborts, or when the job is deleted.
   */
  async *events(id: string, lastEventId: number, signal: AbortSignal): AsyncGenerator<JobEvent, void> {
    using news = this.#news.subscribe(id);
    yield* followJob(() => this.#look(id), news, lastEventId, signal);
  }

  /** Whether a queued or running job needs this model or dataset. The store is asked: the queue may be away or have forgotten. */
  async isNeeded(resourceId: string): Promise<boolean> {
    for await (const record of unfinishedJobs(this.#store))
      if (resourcesOf(record).includes(resourceId)) return true;
    return false;
  }

  /** Rejects when the queue or the storage does not answer. */
  async ping(): Promise<void> {
    await Promise.all([this.#backend.ping(), this.#store.ping()]);
  }

  /** Unfinished jobs by what they wait for. @throws EmpError not_ready */
  async counts(): Promise<Record<string, number>> {
    const { waiting, active, delayed } = await this.#ask(
      this.#queue.getJobCounts('waiting', 'active', 'delayed'),
    );
    return { queued: waiting ?? 0, running: active ?? 0, retrying: delayed ?? 0 };
  }

  /**
   * Queues again what a crash, here or of the queue's server, left unfinished and unqueued. To be called on start, by any number of
   * processes: the queue takes an id once.
   */
  async recover(): Promise<void> {
    for await (const record of unfinishedJobs(this.#store)) await this.#enqueue(record);
  }

  async close(): Promise<void> {
    // BullMQ waits for ever for the end of a connection that is about to be tried again.
    const closed = new AbortController();
    const closing = Promise.all([this.#queue.close(), this.#news.close()]);
    const patience = sleep(CLOSE_MS, undefined, { signal: closed.signal }).catch(() => {});
    await Promise.race([closing, patience]).finally(() => closed.abort());
  }

  async #publish(record: JobRecord): Promise<{ record: JobRecord; created: boolean }> {
    const upload = await this.#store.createUpload();
    try {
      await this.#store.addUnfinished(record.id);
      return await this.#store.publish('jobs', upload, record);
    } finally {
      await upload.discard();
    }
  }

  async #enqueue({ id, model_id }: JobRecord): Promise<void> {
    const { attempts, backoffMs } = this.#retry;
    const backoff = { type: 'exponential', delay: backoffMs };
    const options = { jobId: id, attempts, backoff, removeOnComplete: true, removeOnFail: true };
    await this.#ask(this.#queue.add('prune', { model_id }, options));
  }

  /** @throws EmpError not_ready where the queue fails or does not answer in time */
  #ask<T>(answer: Promise<T>): Promise<T> {
    return answerInTime(answer, this.#log);
  }

  async #look(id: string): Promise<JobLook | null> {
    // In this order: with the result written, all progress is.
    const result = await readResult(this.#store, id);
    const record = await this.#store.readRecord<JobRecord>('jobs', id);
    if (!record) return null;
    if (result) {
      const data = await endedJob(this.#store, record, result);
      return { events: await endedProgress(this.#store, id, result), end: { event: result.status, data } };
    }
    // While the queue is away, there is no news.
    const queued = await this.#ask(this.#queue.getJob(id)).catch(() => undefined);
    return { events: progressOf(queued), end: null };
  }

  async #describe(record: JobRecord): Promise<Job> {
    const result = await readResult(this.#store, record.id);
    if (result) return endedJob(this.#store, record, result);
    const [state, queued] = await this.#ask(
      Promise.all([this.#queue.getJobState(record.id), this.#queue.getJob(record.id)]),
    );
    const isRunning = state === 'active';
    // It may have ended since the store was asked.
    const late = isRunning || queued ? null : await readResult(this.#store, record.id);
    return late ? endedJob(this.#store, record, late) : unfinishedJob(record, isRunning, queued);
  }
}
