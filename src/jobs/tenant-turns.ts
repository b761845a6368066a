import type { Store } from '../storage/store.ts';
import type { JobRecord } from './job.ts';
import { laneOf, priorityOf, type Turn } from './job-lanes.ts';
import type { JobQueues } from './job-queues.ts';
import { isSearchId } from './search-lines.ts';

/** How long what this process knows of the turns that others have given holds. */
const FRESH_MS = 1000;

/**
 * The turns of a tenant's jobs among those of all tenants: each the one after the tenant's last, and none before those that run (start-time fair queueing, Goyal, Vin and Cheng 1996, with
 * jobs for packets). So who has submitted a thousand waits behind the first of whoever comes next, and nobody gains by waiting.
 */
export class TenantTurns {
  readonly #store: Store;
  readonly #queues: JobQueues;
  /** The last turns that were given, by lane and priority. */
  #last = new Map<string, number>();
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(store: Store, queues: JobQueues) {
    this.#store = store;
    this.#queues = queues;
  }

  /** The turn of a job that is about to be recorded. Several processes may give one twice: those jobs go by their time. */
  async next(job: Turn): Promise<number> {
    if (performance.now() - this.#lookedAt > FRESH_MS) await this.#look();
    const key = keyOf(job);
    const turn = Math.max(this.#queues.turnNow(job), (this.#last.get(key) ?? -1) + 1);
    this.#last.set(key, turn);
    return turn;
  }

  async #look(): Promise<void> {
    this.#lookedAt = performance.now();
    const ids = (await this.#store.listUnfinished()).filter((id) => !isSearchId(id));
    const newest = ids.at(-1);
    // With nothing that waits there is nothing to be behind.
    if (newest === undefined) this.#last = new Map();
    const record = newest === undefined ? null : await this.#store.readRecord<JobRecord>('jobs', newest);
    if (record?.turn === undefined) return;
    const key = keyOf(record);
    this.#last.set(key, Math.max(record.turn, this.#last.get(key) ?? 0));
  }
}

function keyOf(job: Turn): string {
  return `${laneOf(job)} ${priorityOf(job)}`;
}
