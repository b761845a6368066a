import { EventEmitter, once } from 'node:events';
import type { JobLook } from './follow-job.ts';
import type { Job } from './job.ts';
import type { Subscription } from './wakeups.ts';

/** How soon those who follow a job see what was not told, because the news was lost. */
export const LOOK_MS = 2000;
/** Of many jobs that are followed each is looked at less often, so that all looks together cost little. */
const MS_A_WATCH = 10;

export interface WatchedJobs<T> {
  /** The job as it stands; null where there is none. */
  look(id: string): Promise<JobLook<T> | null>;
  subscribe(id: string): Subscription;
}

/** Who follows which job, or search. A job is looked at once for all who follow it, and no more when they have left. */
export class JobWatches<T = Job> {
  readonly #jobs: WatchedJobs<T>;
  readonly #watches = new Map<string, Watch<T>>();

  constructor(jobs: WatchedJobs<T>) {
    this.#jobs = jobs;
  }

  /**
   * A job as it stands now, then whenever there is more to see; who is slow sees the latest only. Ends after the job's end, when `signal`
   * aborts, or when there is no such job.
   */
  async *looks(id: string, signal: AbortSignal): AsyncGenerator<JobLook<T>, void> {
    const watch = this.#join(id);
    try {
      let seen: JobLook<T> | null | undefined;
      while (!signal.aborted) {
        if (watch.failure) throw watch.failure.error;
        const { latest } = watch;
        if (latest === null) return;
        if (latest === seen || latest === undefined) {
          await once(watch, 'change', { signal }).catch(() => {});
          continue;
        }
        seen = latest;
        yield latest;
        if (latest.end) return;
      }
    } finally {
      this.#leave(id, watch);
    }
  }

  #join(id: string): Watch<T> {
    let watch = this.#watches.get(id);
    if (!watch) {
      watch = new Watch<T>();
      this.#watches.set(id, watch);
      void this.#keepLooking(id, watch);
    }
    watch.followers++;
    return watch;
  }

  #leave(id: string, watch: Watch<T>): void {
    if (--watch.followers > 0) return;
    watch.left.abort();
    if (this.#watches.get(id) === watch) this.#watches.delete(id);
  }

  async #keepLooking(id: string, watch: Watch<T>): Promise<void> {
    // Before the first look: what comes after it is heard.
    using news = this.#jobs.subscribe(id);
    try {
      while (!watch.left.signal.aborted) {
        const look = await this.#jobs.look(id);
        watch.show(look);
        if (!look || look.end) return;
        await news.next(Math.max(LOOK_MS, MS_A_WATCH * this.#watches.size), watch.left.signal);
      }
    } catch (error) {
      watch.fail(error);
      // Who comes after that may have better luck.
      if (this.#watches.get(id) === watch) this.#watches.delete(id);
    }
  }
}

/** What those who follow a job share. */
class Watch<T> extends EventEmitter {
  readonly left = new AbortController();
  followers = 0;
  /** Undefined until the first look; null where there is no such job. */
  latest: JobLook<T> | null | undefined;
  failure: { readonly error: unknown } | undefined;

  constructor() {
    super();
    this.setMaxListeners(0);
  }

  show(look: JobLook<T> | null): void {
    const isSame = look && this.latest && sightOf(look) === sightOf(this.latest);
    if (isSame) return;
    this.latest = look;
    this.emit('change');
  }

  fail(error: unknown): void {
    this.failure = { error };
    this.emit('change');
  }
}

/** The same of two looks that show the same. */
function sightOf({ events, end }: JobLook<unknown>): string {
  const last = events.at(-1);
  return `${last?.id} ${last?.stage} ${last?.percent} ${end !== null}`;
}
