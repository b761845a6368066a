import type { Job } from 'bullmq';
import type { QueuedData } from './backends/backend.ts';
import type { ComputedJob } from './compute-in-children.ts';
import { type JobRecord, messageOf, startOf, taskOf } from './job.ts';
import { NO_PROSPECT } from './job-lanes.ts';
import type { JobCounts, Line, QueuedJob, Removal } from './job-line.ts';
import type { StopReason } from './tasks/task.ts';

/** Does what a message asks for, as `computeInChildren` makes it. Rejects for a job that got no result. */
export type Compute = (job: ComputedJob, token: string | undefined, signal: AbortSignal) => Promise<unknown>;

/** What became of a job: its result is written, or could not be, with the reason. */
export type Ended = (job: ComputedJob, failure: Error | null) => Promise<void>;

interface Entry {
  readonly record: JobRecord;
  readonly stop: AbortController;
  readonly job: ComputedJob & { processedOn: number | undefined; progress: unknown };
}

/** Tells of a job whose message says where it is. */
interface LocalLineOptions {
  readonly compute: Compute;
  readonly ended: Ended;
  changed(id: string): void;
}

/**
 * The line of a process that has no queue: jobs run in it one at a time, in the order in which they came, and end with it. Deliberately not in it: priorities, further attempts, and
 * anything that outlives the process.
 */
export class LocalLine implements Line {
  readonly #options: LocalLineOptions;
  readonly #entries = new Map<string, Entry>();
  #running: Promise<void> | null = null;

  constructor(options: LocalLineOptions) {
    this.#options = options;
  }

  async add(records: readonly JobRecord[]): Promise<void> {
    for (const record of records)
      if (!this.#entries.has(record.id)) this.#entries.set(record.id, this.#entryOf(record));
    this.#running ??= this.#run();
  }

  async look(records: readonly JobRecord[]): Promise<(QueuedJob | undefined)[]> {
    return records.map((record) => {
      const entry = this.#entries.get(record.id);
      if (!entry) return undefined;
      const { processedOn, progress } = entry.job;
      const started_at = processedOn === undefined ? null : startOf(record, processedOn);
      return { ...NO_PROSPECT, isRunning: started_at !== null, started_at, progress };
    });
  }

  async knownIds(): Promise<Set<string>> {
    return new Set(this.#entries.keys());
  }

  async remove({ id }: JobRecord): Promise<Removal> {
    const entry = this.#entries.get(id);
    const isOut = entry?.job.processedOn === undefined;
    if (isOut) this.#entries.delete(id);
    return { progress: entry?.job.progress, isOut };
  }

  async counts(): Promise<JobCounts> {
    const running = (await this.runningIds()).size;
    const waiting = [...this.#entries.values()].find(({ job }) => job.processedOn === undefined);
    const waiting_since = waiting ? Date.parse(waiting.record.created_at) : null;
    return { queued: this.#entries.size - running, running, retrying: 0, waiting_since };
  }

  async runningIds(): Promise<Set<string>> {
    const running = [...this.#entries.values()].filter(({ job }) => job.processedOn !== undefined);
    return new Set(running.map(({ record }) => record.id));
  }

  async runningPriorities(): Promise<number[]> {
    return [];
  }

  async failedJobs(): Promise<Job<QueuedData>[]> {
    return [];
  }

  async endOverduePauses(): Promise<void> {}

  /** Ends a job that runs. */
  stop(id: string, reason: StopReason): void {
    this.#entries.get(id)?.stop.abort(reason);
  }

  /** Ends all, and resolves when they have ended. */
  async close(): Promise<void> {
    for (const [id, { job, stop }] of this.#entries) {
      if (job.processedOn === undefined) this.#entries.delete(id);
      else stop.abort('shutdown' satisfies StopReason);
    }
    await this.#running;
  }

  async #run(): Promise<void> {
    for (const [id, { job, stop }] of this.#entries) {
      job.processedOn = Date.now();
      const failure = await this.#options.compute(job, undefined, stop.signal).then(
        () => null,
        (error: Error) => error,
      );
      await this.#options.ended(job, failure);
      this.#entries.delete(id);
      this.#options.changed(id);
    }
    this.#running = null;
  }

  #entryOf(record: JobRecord): Entry {
    const { id } = record;
    const job: Entry['job'] = {
      ...{ id, name: taskOf(record), data: messageOf(record), attemptsMade: 1 },
      processedOn: undefined,
      progress: undefined,
      updateProgress: async (progress) => {
        job.progress = progress;
        this.#options.changed(id);
      },
      moveToWait: async () => 0,
    };
    return { record, stop: new AbortController(), job };
  }
}
