import type { Store } from '../storage/store.ts';
import type { JobProgress, JobResult, ProgressEvent } from './job.ts';

/** A reader of events needs no more than this... */
const MIN_INTERVAL_MS = 200;
/** ...and no less, so that all events of a job are few enough to be said each time. */
const MIN_PERCENT = 1;

/** What a job's computing process has to say of where it is. All of it is said every time, so that any but the last may be lost. */
export class ProgressReporter {
  readonly #tell: (events: readonly ProgressEvent[]) => void;
  readonly #earlier: readonly ProgressEvent[];
  #events: readonly ProgressEvent[] = [];
  #lastAt = 0;

  /** @param earlier what an attempt before this one has said; ids go on from there */
  constructor(earlier: readonly ProgressEvent[], tell: (events: readonly ProgressEvent[]) => void) {
    this.#earlier = earlier;
    this.#tell = tell;
  }

  /** Those of this attempt, or of the one before where this one has not said anything. */
  get events(): readonly ProgressEvent[] {
    return this.#events.length > 0 ? this.#events : this.#earlier;
  }

  /** Tells where the job is: every stage, and within one as often as readers care. */
  report({ stage, percent }: JobProgress): void {
    const now = performance.now();
    const last = this.#events.at(-1);
    const isSoon = now - this.#lastAt < MIN_INTERVAL_MS || percent - (last?.percent ?? 0) < MIN_PERCENT;
    if (stage === last?.stage && isSoon) return;
    const id = (this.events.at(-1)?.id ?? 0) + 1;
    this.#events = [...this.#events, { id, stage, percent: Math.round(percent * 10) / 10 }];
    this.#lastAt = now;
    this.#tell(this.#events);
  }
}

/** What the queue knows of a job's progress. */
export function progressOf(queued: { readonly progress: unknown } | undefined): readonly ProgressEvent[] {
  return Array.isArray(queued?.progress) ? queued.progress : [];
}

/** The progress of a job that has ended. */
export async function endedProgress(
  store: Store,
  id: string,
  result: JobResult,
): Promise<readonly ProgressEvent[]> {
  if (result.progress) return result.progress;
  // Jobs of an earlier version have a file with a line an event, of which a power cut may have torn one.
  const lines = ((await store.readText('jobs', id, 'progress.ndjson')) ?? '').split('\n').slice(0, -1);
  return lines.flatMap((line, i) => {
    try {
      return { id: i + 1, ...(JSON.parse(line) as JobProgress) };
    } catch {
      return [];
    }
  });
}
