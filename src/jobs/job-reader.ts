import type { Logger } from 'pino';
import type { Store } from '../storage/store.ts';
import type { JobLook } from './follow-job.ts';
import type { Job, JobRecord, JobResult } from './job.ts';
import type { QueuedJob } from './job-line.ts';
import type { JobLines } from './job-lines.ts';
import { endedJob, unfinishedJob } from './job-state.ts';
import { endedProgress, progressOf } from './progress-events.ts';
import type { Enter } from './recovery.ts';
import { readResult } from './result.ts';

/**
 * Jobs as they stand, by what the store holds and the queue knows. Unfinished ones that the queue has forgotten are queued again. While it is
 * away they are told as waiting, after one wait for all that are asked for.
 */
export class JobReader {
  readonly #store: Store;
  readonly #lines: JobLines;
  readonly #enter: Enter;
  readonly #log: Logger;

  /** @param enter for jobs that should be in their lines, and are not */
  constructor(store: Store, lines: JobLines, enter: Enter, log: Logger) {
    this.#store = store;
    this.#lines = lines;
    this.#enter = enter;
    this.#log = log;
  }

  async get(id: string): Promise<Job | null> {
    const record = await this.#store.readRecord<JobRecord>('jobs', id);
    return record && this.describe(record);
  }

  async describe(record: JobRecord): Promise<Job> {
    return (await this.describeAll([record]))[0] as Job;
  }

  /** As those who follow it see it; null where there is none. */
  async look(id: string): Promise<JobLook | null> {
    // In this order: with the result written, all progress is.
    const result = await readResult(this.#store, id);
    const record = await this.#store.readRecord<JobRecord>('jobs', id);
    if (!record) return null;
    if (result) {
      const data = await endedJob(this.#store, record, result);
      return { events: await endedProgress(this.#store, id, result), end: { event: result.status, data } };
    }
    const { queued } = await this.#lookInLine([record]);
    return { events: progressOf(queued.get(id)), end: null };
  }

  async describeAll(records: readonly JobRecord[]): Promise<Job[]> {
    const results = await this.#results(records);
    const unfinished = records.filter(({ id }) => !results.has(id));
    const { queued, late } = await this.#lookInLine(unfinished);
    return Promise.all(
      records.map((record) => {
        const result = results.get(record.id) ?? late.get(record.id);
        return result ? endedJob(this.#store, record, result) : unfinishedJob(record, queued.get(record.id));
      }),
    );
  }

  /** What the queue knows of jobs, and the results of those that it does not know: they may have ended since the store was asked. */
  async #lookInLine(
    unfinished: readonly JobRecord[],
  ): Promise<{ queued: Map<string, QueuedJob>; late: Map<string, JobResult> }> {
    const ask = async <T>(answer: Promise<T>): Promise<T | null> =>
      answer.catch((error) => {
        this.#log.warn({ err: error }, 'the queue was not asked');
        return null;
      });
    const known = await ask(this.#lines.look(unfinished));
    const queued = known ?? new Map<string, QueuedJob>();
    const unknown = unfinished.filter(({ id }) => !queued.has(id));
    const late = await this.#results(unknown);
    const lost = unknown.filter(({ id }) => !late.has(id));
    if (known && lost.length > 0) await ask(this.#enter(lost));
    return { queued, late };
  }

  async #results(records: readonly JobRecord[]): Promise<Map<string, JobResult>> {
    const found = new Map<string, JobResult>();
    const look = async ({ id }: JobRecord) => {
      const result = await readResult(this.#store, id);
      if (result) found.set(id, result);
    };
    await Promise.all(records.map(look));
    return found;
  }
}
