import type { Logger } from 'pino';
import { EmpError } from '../core/errors.ts';
import type { Store } from '../storage/store.ts';
import { answerInTime } from './answer-in-time.ts';
import type { Pinged } from './backends/backend.ts';
import type { JobResult } from './job.ts';
import { type Lane, laneOf, priorityOf, type Turn, turnOf } from './job-lanes.ts';
import type { JobCounts } from './job-line.ts';
import type { LaneQueues } from './lane-queues.ts';

/** How long a look at the queue and the disk holds, but for the jobs submitted since. */
const ROOM_MS = 1000;
const DEFAULT_MAX_QUEUED = 10_000;

export interface JobQueuesOptions {
  readonly lanes: LaneQueues;
  readonly backend: Pinged;
  readonly log: Logger;
  /** Jobs that may wait; more are refused. */
  readonly maxQueued?: number | undefined;
  /** Hears of a job whose end was decided here. */
  readonly jobEnded?: JobEnded | undefined;
}

export type JobEnded = (status: JobResult['status']) => void;

/** The queue, which all tenants share. */
export class JobQueues {
  readonly lanes: LaneQueues;
  readonly jobEnded: JobEnded;
  readonly #backend: Pinged;
  readonly #log: Logger;
  readonly #maxQueued: number;
  /** How many more jobs may wait, as of the last look less those submitted since. */
  #room = { until: 0, left: 0 };
  /** The priorities of the jobs that ran then. */
  #running: Readonly<Record<Lane, readonly number[]>> = { short: [], long: [] };

  constructor({ lanes, backend, log, maxQueued = DEFAULT_MAX_QUEUED, jobEnded }: JobQueuesOptions) {
    this.lanes = lanes;
    this.jobEnded = jobEnded ?? (() => {});
    this.#backend = backend;
    this.#log = log;
    this.#maxQueued = maxQueued;
  }

  /** Rejects when the queue does not take writes. */
  ping(): Promise<void> {
    return this.#backend.ping();
  }

  /** Unfinished jobs of each lane by what they wait for. @throws EmpError not_ready */
  counts(): Promise<Record<Lane, JobCounts>> {
    return this.lanes.lines.counts();
  }

  /**
   * To be asked before a job is recorded.
   * @param store where it would be
   * @throws EmpError not_ready, queue_full, insufficient_storage where it would have to be refused half-way
   */
  async requireRoom(store: Store): Promise<void> {
    await answerInTime(this.#backend.ping(), this.#log);
    if (performance.now() > this.#room.until) await this.#lookForRoom(store);
    if (this.#room.left-- > 0) return;
    // What has ended since then is seen by the next who asks.
    this.#room.until = 0;
    const message = `${this.#maxQueued} ${this.#maxQueued === 1 ? 'job is' : 'jobs are'} waiting, and no more may: try again later`;
    throw new EmpError('queue_full', message);
  }

  /** The latest turn of the jobs of a lane and priority that ran when room was last looked for; 0 where none did. */
  turnNow(job: Turn): number {
    const turns = this.#running[laneOf(job)].map(turnOf);
    return Math.max(
      0,
      ...turns.filter(({ priority }) => priority === priorityOf(job)).map(({ turn }) => turn),
    );
  }

  async #lookForRoom(store: Store): Promise<void> {
    const { lines } = this.lanes;
    const [{ short, long }, running] = await Promise.all([
      this.counts(),
      lines.runningPriorities(),
      store.ping(),
    ]);
    const waiting = short.queued + short.retrying + long.queued + long.retrying;
    this.#running = running;
    this.#room = { until: performance.now() + ROOM_MS, left: this.#maxQueued - waiting };
  }
}
