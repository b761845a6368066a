import type { Job } from 'bullmq';
import type { QueuedData } from './backends/backend.ts';
import type { JobRecord } from './job.ts';
import { LANES, type Lane, laneOf } from './job-lanes.ts';
import type { JobCounts, Line, QueuedJob, Removal } from './job-line.ts';

/** The lines of all lanes. A job is in that of its record. */
export class JobLines {
  readonly #lines: Readonly<Record<Lane, Line>>;

  constructor(lines: Readonly<Record<Lane, Line>>) {
    this.#lines = lines;
  }

  /** Puts jobs into their lines, but for those that are there. @throws EmpError not_ready */
  async add(records: readonly JobRecord[]): Promise<void> {
    await this.#eachLane(records, (line, ofLane) => line.add(ofLane));
  }

  /** What the lines know of jobs, by id; those that they have never heard of, or forgotten, are missing. @throws EmpError not_ready */
  async look(records: readonly JobRecord[]): Promise<Map<string, QueuedJob>> {
    const known = new Map<string, QueuedJob>();
    await this.#eachLane(records, async (line, ofLane) => {
      for (const [i, job] of (await line.look(ofLane)).entries())
        if (job) known.set(ofLane[i]?.id ?? '', job);
    });
    return known;
  }

  /** The ids of all jobs in the lines. @throws EmpError not_ready */
  async knownIds(): Promise<Set<string>> {
    const ids = await this.#ofAll((line) => line.knownIds());
    return ids.short.union(ids.long);
  }

  /** Takes a job that is not running out of its line. @throws EmpError not_ready */
  remove(record: JobRecord): Promise<Removal> {
    return this.#lines[laneOf(record)].remove(record);
  }

  /** @throws EmpError not_ready */
  counts(): Promise<Record<Lane, JobCounts>> {
    return this.#ofAll((line) => line.counts());
  }

  /** @throws EmpError not_ready */
  async runningIds(): Promise<Set<string>> {
    const ids = await this.#ofAll((line) => line.runningIds());
    return ids.short.union(ids.long);
  }

  /** Those of the jobs that run, as the queue has them. @throws EmpError not_ready */
  runningPriorities(): Promise<Record<Lane, number[]>> {
    return this.#ofAll((line) => line.runningPriorities());
  }

  /** The jobs that have failed for good and whose worker did not come to say so. @throws EmpError not_ready */
  async failedJobs(): Promise<Job<QueuedData>[]> {
    const { short, long } = await this.#ofAll((line) => line.failedJobs());
    return [...short, ...long];
  }

  /** Lets jobs go on whose pause between attempts lasts longer than any. @throws EmpError not_ready */
  async endOverduePauses(): Promise<void> {
    await this.#ofAll((line) => line.endOverduePauses());
  }

  async #eachLane(
    records: readonly JobRecord[],
    act: (line: Line, ofLane: readonly JobRecord[]) => Promise<void>,
  ): Promise<void> {
    const acts = LANES.map((lane) => {
      const ofLane = records.filter((record) => laneOf(record) === lane);
      return ofLane.length > 0 ? act(this.#lines[lane], ofLane) : null;
    });
    await Promise.all(acts);
  }

  async #ofAll<T>(ask: (line: Line) => Promise<T>): Promise<Record<Lane, T>> {
    const [short, long] = await Promise.all([ask(this.#lines.short), ask(this.#lines.long)]);
    return { short, long };
  }
}
