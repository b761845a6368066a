import { timeOfId } from '../storage/ids.ts';
import type { JobQueue } from './backends/backend.ts';
import type { JobRecord } from './job.ts';
import { NO_PROSPECT, type Prospect } from './job-lanes.ts';

/** Who asks so soon after another is told by the same look: to read 5,000 waiting jobs takes milliseconds. */
const FRESH_MS = 1000;
/** Who comes after that looks anew, but not so often that those who come one after the other read all that wait each time. */
const MS_A_WAITING_JOB = 0.1;
/** So many jobs that ended last say how long one takes. */
const REMEMBERED = 20;

/** Of a job's progress: less says little of how long the rest takes. */
const TELLING_PERCENT = 5;

interface Sight {
  readonly positions: ReadonlyMap<string, number>;
  readonly running: number;
  readonly meanMs: number | null;
  /** When the oldest that waits came; null where none does. */
  readonly waitingSince: number | null;
}

/** What can be said of a lane's jobs before they have ended. */
export class LaneOutlook {
  readonly #queue: JobQueue;
  /** What jobs took that succeeded, oldest first, in milliseconds. */
  readonly #took: number[] = [];
  #latest: { readonly at: number; readonly sight: Promise<Sight> } | undefined;

  constructor(queue: JobQueue) {
    this.#queue = queue;
  }

  /** Notes that a job has succeeded. */
  noteTime(ms: number): void {
    this.#took.push(ms);
    if (this.#took.length > REMEMBERED) this.#took.shift();
  }

  /** When the oldest job that waits was made, in milliseconds; null where none waits. Rejects where the queue does. */
  async waitingSince(): Promise<number | null> {
    return (await this.#see()).waitingSince;
  }

  /** Of a job that waits for a slot. Rejects where the queue does. */
  async ofWaiting(record: JobRecord): Promise<Prospect> {
    const seen = await this.#see();
    const isNew = !seen.positions.has(record.id);
    const { positions, running, meanMs } = isNew
      ? await this.#see(seen.positions.size * MS_A_WAITING_JOB)
      : seen;
    const position = positions.get(record.id) ?? (await this.#lastPosition());
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

  /** Of a job that has come since one looked. */
  async #lastPosition(): Promise<number | null> {
    const { waiting = 0, prioritized = 0 } = await this.#queue.getJobCounts('waiting', 'prioritized');
    return waiting + prioritized > 0 ? waiting + prioritized - 1 : null;
  }

  async #see(maxAgeMs = FRESH_MS): Promise<Sight> {
    const now = performance.now();
    if (!this.#latest || this.#latest.at < now - Math.min(maxAgeMs, FRESH_MS)) {
      const latest = { at: now, sight: this.#look() };
      this.#latest = latest;
      latest.sight.catch(() => {
        if (this.#latest === latest) this.#latest = undefined;
      });
    }
    return this.#latest.sight;
  }

  async #look(): Promise<Sight> {
    const [first, others, { active = 0 }] = await Promise.all([
      // Of an earlier version, without a priority.
      this.#queue.getRanges(['wait'], 0, -1, true),
      this.#queue.getRanges(['prioritized'], 0, -1, true),
      this.#queue.getJobCounts('active'),
    ]);
    const ids = [...first, ...others];
    const positions = new Map(ids.map((id, position) => [id, position]));
    let oldest: string | undefined;
    // Ids sort by the time of their making.
    for (const id of ids) if (oldest === undefined || id < oldest) oldest = id;
    const waitingSince = oldest === undefined ? null : timeOfId(oldest);
    return { positions, running: active, meanMs: this.#meanMs(), waitingSince };
  }

  #meanMs(): number | null {
    return this.#took.length > 0 ? this.#took.reduce((sum, ms) => sum + ms) / this.#took.length : null;
  }
}

/** When a job ends that began at `start` and has come to `percent`, in milliseconds; null where that is too little to tell. */
export function projectedEnd(start: number, now: number, percent: number): number | null {
  return percent < TELLING_PERCENT ? null : now + ((now - start) * (100 - percent)) / percent;
}

function ending(end: number): Prospect {
  return { position: null, eta: new Date(end).toISOString() };
}
