import type { Job } from 'bullmq';
import type { Logger } from 'pino';
import { answerInTime } from './answer-in-time.ts';
import type { BulkMessage, JobQueue, QueuedData } from './backends/backend.ts';
import { type JobRecord, messageOf, startOf, taskOf } from './job.ts';
import { messagePriority, NO_PROSPECT, type Prospect } from './job-lanes.ts';
import type { LaneOutlook } from './lane-outlook.ts';
import { progressOf } from './progress-events.ts';

/** Of every job that the queue knows, whatever its state; `failed` are those whose result is being written. */
const KNOWN = ['waiting', 'active', 'delayed', 'prioritized', 'failed'] as const;
/** Messages put into the queue at a time: it answers others in between. */
const AT_ONCE = 500;
/** Who only reads is told what the records say where the queue takes longer. */
const LOOK_MS = 2000;

/** What the queue knows of a job. */
export interface QueuedJob extends Prospect {
  readonly isRunning: boolean;
  /** When its attempt began; null unless it runs. */
  readonly started_at: string | null;
  readonly progress: unknown;
}

/** How far a job was, and whether it is out of the line: one that runs stays. */
export interface Removal {
  readonly progress: unknown;
  readonly isOut: boolean;
}

/** Attempts in all, and the pause before the second, doubled before each further one. */
export interface Retry {
  readonly attempts: number;
  readonly backoffMs: number;
}

/** Unfinished jobs by what they wait for. */
export interface JobCounts {
  readonly queued: number;
  readonly running: number;
  readonly retrying: number;
  /** When the oldest of the queued ones came, in milliseconds of the clock; null where none waits. */
  readonly waiting_since: number | null;
}

/** What is asked of a lane's jobs that wait or run. */
export type Line = Pick<JobLine, keyof JobLine>;

/** The queue of a lane as a line of jobs. Whatever is asked, one question serves any number of jobs. */
export class JobLine {
  readonly #queue: JobQueue;
  readonly #outlook: LaneOutlook;
  readonly #log: Logger;
  readonly #retry: Retry;
  /** Jobs that wait for a further attempt, and since when, as far as was looked: of `performance.now()`. */
  #pausing = new Map<string, number>();

  constructor(queue: JobQueue, outlook: LaneOutlook, log: Logger, retry: Retry) {
    this.#queue = queue;
    this.#outlook = outlook;
    this.#log = log;
    this.#retry = retry;
  }

  /** Puts jobs at the end of those of their priority, but for those that are in the line. @throws EmpError not_ready */
  async add(records: readonly JobRecord[]): Promise<void> {
    const messages = records.map((record) => this.#messageOf(record));
    for (let i = 0; i < messages.length; i += AT_ONCE)
      await this.#ask(this.#queue.addBulk(messages.slice(i, i + AT_ONCE)));
  }

  /**
   * What the queue knows of each; undefined of those that it has never heard of, or forgotten. It may have ended since the store was asked.
   * @throws EmpError not_ready
   */
  look(records: readonly JobRecord[]): Promise<(QueuedJob | undefined)[]> {
    return this.#ask(this.#look(records), LOOK_MS);
  }

  /** The ids of all jobs in the line. @throws EmpError not_ready */
  async knownIds(): Promise<Set<string>> {
    return new Set(await this.#ask(this.#queue.getRanges([...KNOWN], 0, -1)));
  }

  /** Takes a job that is not running out of the line. @throws EmpError not_ready */
  async remove({ id }: JobRecord): Promise<Removal> {
    const progress = (await this.#ask(this.#queue.getJob(id)))?.progress;
    await this.#ask(this.#queue.remove(id));
    return { progress, isOut: (await this.#ask(this.#queue.getJobState(id))) === 'unknown' };
  }

  /** @throws EmpError not_ready */
  async counts(): Promise<JobCounts> {
    // `waiting` are those without a priority: of an earlier version, or of a worker that died.
    const asked = this.#queue.getJobCounts('waiting', 'prioritized', 'active', 'delayed');
    const looked = Promise.all([asked, this.#outlook.waitingSince()]);
    const [{ waiting = 0, prioritized = 0, active = 0, delayed = 0 }, waiting_since] =
      await this.#ask(looked);
    return { queued: waiting + prioritized, running: active, retrying: delayed, waiting_since };
  }

  /** @throws EmpError not_ready */
  async runningIds(): Promise<Set<string>> {
    return new Set(await this.#ask(this.#queue.getRanges(['active'], 0, -1)));
  }

  /** Those of the jobs that run, as the queue has them. @throws EmpError not_ready */
  async runningPriorities(): Promise<number[]> {
    const ids = await this.#ask(this.#queue.getRanges(['active'], 0, -1));
    const jobs = await this.#ask(Promise.all(ids.map((id) => this.#queue.getJob(id))));
    return jobs.map((job) => job?.opts.priority ?? 0).filter((priority) => priority > 0);
  }

  /** The jobs that have failed for good and whose worker did not come to say so. @throws EmpError not_ready */
  async failedJobs(): Promise<Job<QueuedData>[]> {
    const ids = await this.#ask(this.#queue.getRanges(['failed'], 0, -1));
    return (await this.#ask(Promise.all(ids.map((id) => this.#queue.getJob(id))))).filter(
      (job) => job !== undefined,
    );
  }

  /**
   * Lets jobs go on whose pause lasts longer than any. The queue notes its end as a time of the clock, and a clock that was set back takes
   * its difference to get there. @throws EmpError not_ready
   */
  async endOverduePauses(): Promise<void> {
    const now = performance.now();
    const ids = await this.#ask(this.#queue.getRanges(['delayed'], 0, -1));
    this.#pausing = new Map(ids.map((id) => [id, this.#pausing.get(id) ?? now]));
    const longestMs = this.#retry.backoffMs * 2 ** (this.#retry.attempts - 2);
    for (const [id, since] of this.#pausing) {
      if (now - since <= longestMs) continue;
      const job = await this.#ask(this.#queue.getJob(id));
      if (!job) continue;
      await this.#ask(job.promote()).catch(async (error) => {
        // It has gone on by itself.
        if ((await this.#ask(this.#queue.getJobState(id))) === 'delayed') throw error;
      });
    }
  }

  async #look(records: readonly JobRecord[]): Promise<(QueuedJob | undefined)[]> {
    const [active, delayed, jobs] = await Promise.all([
      this.#queue.getRanges(['active'], 0, -1),
      this.#queue.getRanges(['delayed'], 0, -1),
      Promise.all(records.map(({ id }) => this.#queue.getJob(id))),
    ]);
    const running = new Set(active);
    const pausing = new Set(delayed);
    const look = async (record: JobRecord, i: number): Promise<QueuedJob | undefined> => {
      const job = jobs[i];
      if (!job) return undefined;
      const { processedOn, progress, finishedOn } = job;
      // With its last attempt over, its result is being written.
      const isRunning = running.has(record.id) || finishedOn !== undefined;
      const started_at = isRunning && processedOn ? startOf(record, processedOn) : null;
      let prospect = NO_PROSPECT;
      if (started_at !== null)
        prospect = await this.#outlook.ofRunning(started_at, progressOf(job).at(-1)?.percent ?? 0);
      else if (!isRunning && !pausing.has(record.id)) prospect = await this.#outlook.ofWaiting(record);
      return { ...prospect, isRunning, started_at, progress };
    };
    return Promise.all(records.map(look));
  }

  #messageOf(record: JobRecord): BulkMessage {
    const { id } = record;
    const { attempts, backoffMs } = this.#retry;
    const backoff = { type: 'exponential', delay: backoffMs };
    // A failed job stays until its result is written: the queue knows why it failed, and nobody queues it again.
    const priority = messagePriority(record);
    const opts = { jobId: id, priority, attempts, backoff, removeOnComplete: true, removeOnFail: false };
    return { name: taskOf(record), data: messageOf(record), opts };
  }

  #ask<T>(answer: Promise<T>, timeoutMs?: number): Promise<T> {
    return answerInTime(answer, this.#log, timeoutMs);
  }
}
