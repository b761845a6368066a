import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { EmpError } from '../core/errors.ts';
import { freshId } from '../storage/ids.ts';
import type { Page, Store } from '../storage/store.ts';
import type { Backend, JobQueue, JobQueueEvents } from './backends/backend.ts';
import { requestCancellation } from './cancellation.ts';
import type { Job, JobEvent, JobProgress, JobRecord, JobRequest, JobResult, JobStatus } from './job.ts';
import { resourcesOf, startOf } from './job.ts';
import { readLastProgress, readProgress } from './progress-log.ts';
import { inputFailure, readResult, writeResult } from './result.ts';
import { PROGRESS } from './run-job.ts';
import { Wakeups } from './wakeups.ts';

/** How soon a watcher of a job sees its progress; its end it hears of from the queue. */
const POLL_MS = 250;
/** A running job hears of its cancellation well within this. */
const CANCEL_WAIT_MS = 1000;
/** Hanging up on a server that answers takes milliseconds. */
const CLOSE_MS = 2000;
/** A server that is there answers in milliseconds; one that hangs must not make requests hang. */
const ANSWER_MS = 5000;
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
  const queueEvents = options.backend.createQueueEvents();
  queue.on('error', (error) => options.log.warn({ err: error }, 'queue'));
  queueEvents.on('error', (error) => options.log.warn({ err: error }, 'queue events'));
  await Promise.all([queue.waitUntilReady(), queueEvents.waitUntilReady()]);
  const jobs = new Jobs(options, queue, queueEvents);
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
  readonly #queueEvents: JobQueueEvents;
  readonly #retry: { readonly attempts: number; readonly backoffMs: number };
  readonly #wakeups = new Wakeups();

  constructor(options: JobsOptions, queue: JobQueue, queueEvents: JobQueueEvents) {
    this.#store = options.store;
    this.#backend = options.backend;
    this.#log = options.log;
    this.#retry = options.retry ?? DEFAULT_RETRY;
    this.#queue = queue;
    this.#queueEvents = queueEvents;
    queueEvents.on('completed', ({ jobId }) => this.#wakeups.wake(jobId));
    queueEvents.on('failed', ({ jobId }) => this.#wakeups.wake(jobId));
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
    const request_sha256 = sha256(canonicalJson(request));
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

  /** Ends a job: a waiting one at once, a running one within a second. A finished one stays as it is; null when there is none. */
  async cancel(id: string): Promise<Job | null> {
    const record = await this.#store.readRecord<JobRecord>('jobs', id);
    if (!record) return null;
    if (!(await readResult(this.#store, id))) {
      // First the word to the child: the job may start, or start again, at any moment before it is out of the queue.
      await requestCancellation(this.#store, id);
      await this.#ask(this.#queue.remove(id));
      if ((await this.#ask(this.#queue.getJobState(id))) === 'unknown') {
        const error = inputFailure(new EmpError('canceled', 'The job was canceled before it ran.'));
        await writeResult(this.#store, id, { status: 'canceled', started_at: null, error });
      }
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
    using news = this.#wakeups.subscribe(id);
    while (!signal?.aborted && !(await readResult(this.#store, id))) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0 || !(await this.#store.readRecord('jobs', id))) break;
      await news.next(Math.min(POLL_MS, leftMs), signal);
    }
    return this.get(id);
  }

  /**
   * The job's events after `lastEventId`, those of the past at once, then as they happen. Ends after the terminal one, when `signal`
   * aborts, or when the job is deleted.
   */
  async *events(id: string, lastEventId: number, signal: AbortSignal): AsyncGenerator<JobEvent, void> {
    const path = this.#store.path('jobs', id, PROGRESS);
    using news = this.#wakeups.subscribe(id);
    let eventId = 0;
    let offset = 0;
    for (;;) {
      // In this order: with the result written, all progress is.
      const result = await readResult(this.#store, id);
      const record = await this.#store.readRecord<JobRecord>('jobs', id);
      const log = await readProgress(path, offset);
      if (!record || signal.aborted) return;
      offset = log.offset;
      for (const data of log.events) {
        if (++eventId > lastEventId && data) yield { id: eventId, event: 'progress', data };
      }
      if (result) {
        const data = await this.#describe(record, result);
        if (++eventId > lastEventId) yield { id: eventId, event: result.status, data };
        return;
      }
      await news.next(POLL_MS, signal);
    }
  }

  /** Whether a queued or running job needs this model or dataset. The store is asked: the queue may be away or have forgotten. */
  async isNeeded(resourceId: string): Promise<boolean> {
    for (const id of await this.#store.listUnfinished()) {
      const record = await this.#store.readRecord<JobRecord>('jobs', id);
      if (!record || !resourcesOf(record).includes(resourceId)) continue;
      if (!(await readResult(this.#store, id))) return true;
    }
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
    for (const id of await this.#store.listUnfinished()) {
      const record = await this.#store.readRecord<JobRecord>('jobs', id);
      // Without a record it may be about to be published, by another process.
      if (!record) continue;
      if (await readResult(this.#store, id)) await this.#store.removeUnfinished(id);
      else await this.#enqueue(record);
    }
  }

  async close(): Promise<void> {
    // BullMQ waits for ever for the end of a connection that is about to be tried again.
    const closed = new AbortController();
    const closing = Promise.all([this.#queue.close(), this.#queueEvents.close()]);
    const patience = sleep(CLOSE_MS, undefined, { signal: closed.signal }).catch(() => {});
    await Promise.race([closing, patience]).finally(() => closed.abort());
  }

  async #publish(record: JobRecord): Promise<{ record: JobRecord; created: boolean }> {
    const upload = await this.#store.createUpload();
    try {
      await this.#store.addUnfinished(record.id);
      return await this.#store.publish('jobs', upload, record);
    } catch (error) {
      await upload.discard();
      throw error;
    }
  }

  async #enqueue({ id, model_id }: JobRecord): Promise<void> {
    const { attempts, backoffMs } = this.#retry;
    const backoff = { type: 'exponential', delay: backoffMs };
    const options = { jobId: id, attempts, backoff, removeOnComplete: true, removeOnFail: true };
    await this.#ask(this.#queue.add('prune', { model_id }, options));
  }

  /** @throws EmpError not_ready where the queue fails or does not answer in time */
  async #ask<T>(answer: Promise<T>): Promise<T> {
    const answered = new AbortController();
    const silence = sleep(ANSWER_MS, undefined, { signal: answered.signal });
    try {
      return await Promise.race([answer, silence.then(() => Promise.reject(new Error('no answer')))]);
    } catch (error) {
      this.#log.warn({ err: error }, 'queue');
      throw new EmpError('not_ready', 'the job queue does not answer; try again');
    } finally {
      answered.abort();
    }
  }

  async #describe(record: JobRecord, known?: JobResult): Promise<Job> {
    const { request_sha256: _, ...request } = record;
    const result = known ?? (await readResult(this.#store, record.id));
    const last = await readLastProgress(this.#store.path('jobs', record.id, PROGRESS));
    if (result) return { ...request, ...result, progress: finalProgress(result, last) };
    const [state, queued] = await this.#ask(
      Promise.all([this.#queue.getJobState(record.id), this.#queue.getJob(record.id)]),
    );
    const running = state === 'active';
    if (!running && !queued) {
      const late = await readResult(this.#store, record.id);
      if (late) return this.#describe(record, late);
    }
    const status: JobStatus = running ? 'running' : 'queued';
    const started_at = running && queued?.processedOn ? startOf(record, queued.processedOn) : null;
    const progress = last ?? { stage: 'queued', percent: 0 };
    return {
      ...request,
      status,
      started_at,
      finished_at: null,
      error: null,
      summary: null,
      artifacts: [],
      timings_ms: null,
      progress,
    };
  }
}

function finalProgress(result: JobResult, last: JobProgress | null): JobProgress {
  const stage = last?.stage ?? 'queued';
  return { stage, percent: result.status === 'succeeded' ? 100 : (last?.percent ?? 0) };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** JSON with the keys of every object in order: equal requests give equal text. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
