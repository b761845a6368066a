import type { Logger } from 'pino';
import { answerInTime } from './answer-in-time.ts';
import type { BulkMessage, JobQueue } from './backends/backend.ts';
import type { JobRecord } from './job.ts';

/** Of every job that the queue knows, whatever its state; `failed` are those whose result is being written. */
const KNOWN = ['waiting', 'active', 'delayed', 'prioritized', 'failed'] as const;
/** Messages put into the queue at a time: it answers others in between. */
const AT_ONCE = 500;
/** Who only reads is told what the records say where the queue takes longer. */
const LOOK_MS = 2000;

/** What the queue knows of a job. */
export interface QueuedJob {
  readonly isRunning: boolean;
  /** Milliseconds: when its last attempt began. */
  readonly processedOn?: number | undefined;
  readonly progress: unknown;
}

/** Attempts in all, and the pause before the second, doubled before each further one. */
export interface Retry {
  readonly attempts: number;
  readonly backoffMs: number;
}

/** The queue as a line of jobs. Whatever is asked, one question serves any number of jobs. */
export class JobLine {
  readonly #queue: JobQueue;
  readonly #log: Logger;
  readonly #retry: Retry;

  constructor(queue: JobQueue, log: Logger, retry: Retry) {
    this.#queue = queue;
    this.#log = log;
    this.#retry = retry;
  }

  /** Puts jobs at the end, but for those that are in the line. @throws EmpError not_ready */
  async add(records: readonly JobRecord[]): Promise<void> {
    const messages = records.map((record) => this.#messageOf(record));
    for (let i = 0; i < messages.length; i += AT_ONCE)
      await this.#ask(this.#queue.addBulk(messages.slice(i, i + AT_ONCE)));
  }

  /**
   * What the queue knows of each; undefined of those that it has never heard of, or forgotten. It may have ended since the store was asked.
   * @throws EmpError not_ready
   */
  async look(ids: readonly string[]): Promise<(QueuedJob | undefined)[]> {
    const [active, jobs] = await this.#ask(
      Promise.all([
        this.#queue.getRanges(['active'], 0, -1),
        Promise.all(ids.map((id) => this.#queue.getJob(id))),
      ]),
      LOOK_MS,
    );
    const running = new Set(active);
    return jobs.map((job, i) => {
      if (!job) return undefined;
      const { processedOn, progress, finishedOn } = job;
      // With its last attempt over, its result is being written.
      return { isRunning: running.has(ids[i] ?? '') || finishedOn !== undefined, processedOn, progress };
    });
  }

  /** The ids of all jobs in the line. @throws EmpError not_ready */
  async knownIds(): Promise<Set<string>> {
    return new Set(await this.#ask(this.#queue.getRanges([...KNOWN], 0, -1)));
  }

  /** Takes a job that is not running out of the line. Returns what was known of it, and whether it is out. @throws EmpError not_ready */
  async remove(id: string): Promise<{ readonly queued: QueuedJob | undefined; readonly isOut: boolean }> {
    const [queued] = await this.look([id]);
    await this.#ask(this.#queue.remove(id));
    return { queued, isOut: (await this.#ask(this.#queue.getJobState(id))) === 'unknown' };
  }

  /** Unfinished jobs by what they wait for. @throws EmpError not_ready */
  async counts(): Promise<{ queued: number; running: number; retrying: number }> {
    const { waiting, active, delayed } = await this.#ask(
      this.#queue.getJobCounts('waiting', 'active', 'delayed'),
    );
    return { queued: waiting ?? 0, running: active ?? 0, retrying: delayed ?? 0 };
  }

  /** The jobs that have failed for good and whose worker did not come to say so. @throws EmpError not_ready */
  async failedJobs() {
    const ids = await this.#ask(this.#queue.getRanges(['failed'], 0, -1));
    return (await this.#ask(Promise.all(ids.map((id) => this.#queue.getJob(id))))).filter(
      (job) => job !== undefined,
    );
  }

  #messageOf({ id, model_id }: JobRecord): BulkMessage {
    const { attempts, backoffMs } = this.#retry;
    const backoff = { type: 'exponential', delay: backoffMs };
    // A failed job stays until its result is written: the queue knows why it failed, and nobody queues it again.
    const opts = { jobId: id, attempts, backoff, removeOnComplete: true, removeOnFail: false };
    return { name: 'prune', data: { model_id }, opts };
  }

  #ask<T>(answer: Promise<T>, timeoutMs?: number): Promise<T> {
    return answerInTime(answer, this.#log, timeoutMs);
  }
}
