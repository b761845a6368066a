import type { Store } from '../storage/store.ts';
import type { JobQueue } from './backends/backend.ts';
import type { JobRecord } from './job.ts';
import { messagePriority, NO_PROSPECT, type Prospect } from './job-lanes.ts';
import { readResult } from './result.ts';

/** Who asks so soon after another is told by the same look: to read 5,000 waiting jobs takes milliseconds. */
const FRESH_MS = 1000;
/** So many jobs that ended last say how long one takes. */
const REMEMBERED = 20;

/** Of a job's progress: less says little of how long the rest takes. */
const TELLING_PERCENT = 5;

interface Sight {
  readonly positions: ReadonlyMap<string, number>;
  readonly running: number;
  readonly meanMs: number | null;
}

/** What can be said of a lane's jobs before they have ended. */
export class LaneOutlook {
  readonly #queue: JobQueue;
  readonly #store: Store;
  /** Of jobs that ended, oldest first: what they took, in milliseconds, undefined until it is asked for. */
  readonly #took = new Map<string, number | undefined>();
  #latest: { readonly at: number; readonly sight: Promise<Sight> } | undefined;

  constructor(queue: JobQueue, store: Store) {
    this.#queue = queue;
    this.#store = store;
  }

  noteCompleted(id: string): void {
    this.#took.set(id, undefined);
    const [oldest] = this.#took.keys();
    if (oldest && this.#took.size > REMEMBERED) this.#took.delete(oldest);
  }

  /** Of a job that waits for a slot. Rejects where the queue does. */
  async ofWaiting(record: JobRecord): Promise<Prospect> {
    const { positions, running, meanMs } = await this.#see();
    const position = positions.get(record.id) ?? (await this.#lastPosition(record));
    // Where nothing runs there may be no worker.
    if (position === null || meanMs === null || running === 0) return { position, eta: null };
    const untilStartMs = (meanMs * (position + 1)) / running;
    return { position, eta: new Date(Date.now() + untilStartMs + meanMs).toISOString() };
  }

  /**
   * Of a job that runs: by how far it has come, before that says anything by what others took. Rejects where the queue does.
   * @param percent of its progress
   */
  async ofRunning(startedAt: string, percent: number): Promise<Prospect> {
    const [now, start] = [Date.now(), Date.parse(startedAt)];
    const projected = projectedEnd(start, now, percent);
    if (projected !== null) return ending(projected);
    const { meanMs } = await this.#see();
    const end = meanMs === null ? 0 : start + meanMs;
    // One that takes longer than others has nothing to go by.
    return end > now ? ending(end) : NO_PROSPECT;
  }

  /** Of a job that has come since one looked: the last of its priority, or nearly so. */
  async #lastPosition(record: JobRecord): Promise<number | null> {
    const upToIts = Array.from({ length: messagePriority(record) + 1 }, (_, priority) => priority);
    const counts = await this.#queue.getCountsPerPriority(upToIts);
    const waiting = Object.values(counts).reduce((sum, count) => sum + count, 0);
    return waiting > 0 ? waiting - 1 : null;
  }

  async #see(): Promise<Sight> {
    const now = performance.now();
    if (!this.#latest || this.#latest.at < now - FRESH_MS) {
      const latest = { at: now, sight: this.#look() };
      this.#latest = latest;
      latest.sight.catch(() => {
        if (this.#latest === latest) this.#latest = undefined;
      });
    }
    return this.#latest.sight;
  }

  async #look(): Promise<Sight> {
    const [first, others, { active = 0 }, meanMs] = await Promise.all([
      // Of an earlier version, without a priority.
      this.#queue.getRanges(['wait'], 0, -1, true),
      this.#queue.getRanges(['prioritized'], 0, -1, true),
      this.#queue.getJobCounts('active'),
      this.#meanMs(),
    ]);
    const positions = new Map([...first, ...others].map((id, position) => [id, position]));
    return { positions, running: active, meanMs };
  }

  async #meanMs(): Promise<number | null> {
    for (const [id, ms] of [...this.#took]) {
      if (ms !== undefined) continue;
      const result = await readResult(this.#store, id);
      if (result?.status === 'succeeded' && result.started_at !== null)
        this.#took.set(id, Date.parse(result.finished_at) - Date.parse(result.started_at));
      else this.#took.delete(id);
    }
    const known = [...this.#took.values()].filter((ms) => ms !== undefined);
    return known.length > 0 ? known.reduce((sum, ms) => sum + ms) / known.length : null;
  }
}

/** When a job ends that began at `start` and has come to `percent`, in milliseconds; null where that is too little to tell. */
export function projectedEnd(start: number, now: number, percent: number): number | null {
  return percent < TELLING_PERCENT ? null : now + ((now - start) * (100 - percent)) / percent;
}

function ending(end: number): Prospect {
  return { position: null, eta: new Date(end).toISOString() };
}
