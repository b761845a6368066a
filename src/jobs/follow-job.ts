import type { Job, JobEvent, JobResult, ProgressEvent } from './job.ts';
import type { Subscription } from './wakeups.ts';

/** How soon a watcher of a job sees what it was not told, because the news was lost. */
export const LOOK_MS = 2000;

/** A job as those who follow it see it. */
export interface JobLook {
  readonly events: readonly ProgressEvent[];
  readonly end: { readonly event: JobResult['status']; readonly data: Job } | null;
}

/**
 * A job's events after `lastEventId`, those of the past at once, then as they happen. Ends after the terminal one, when `signal` aborts,
 * or when the job is deleted: there is nothing to look at.
 */
export async function* followJob(
  look: () => Promise<JobLook | null>,
  news: Subscription,
  lastEventId: number,
  signal: AbortSignal,
): AsyncGenerator<JobEvent, void> {
  let seen = lastEventId;
  for (;;) {
    const seenNow = await look();
    if (!seenNow || signal.aborted) return;
    const { events, end } = seenNow;
    const newest = (events.at(-1)?.id ?? 0) + (end ? 1 : 0);
    // A queue that forgot the job had it computed anew, and ids began again.
    if (newest > 0 && newest < seen) seen = 0;
    for (const { id, stage, percent } of events)
      if (id > seen) yield { id, event: 'progress', data: { stage, percent } };
    if (end && newest > seen) yield { id: newest, ...end };
    if (end) return;
    seen = Math.max(seen, newest);
    await news.next(LOOK_MS, signal);
  }
}
