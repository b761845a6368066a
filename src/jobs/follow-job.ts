import type { Job, JobEvent, JobResult, ProgressEvent } from './job.ts';

/** A job, or a search, as those who follow it see it. */
export interface JobLook<T = Job> {
  readonly events: readonly ProgressEvent[];
  readonly end: { readonly event: JobResult['status']; readonly data: T } | null;
}

/** What one look shows that its follower has not seen: of the first one perhaps nothing. */
export interface JobNews<T = Job> {
  readonly events: readonly JobEvent<T>[];
  /** The job has ended: nothing comes after these events. */
  readonly isLast: boolean;
}

/** A job's events after `lastEventId`, those of the past at once, then as they happen; the terminal one is the last. */
export async function* followJob<T>(
  looks: AsyncIterable<JobLook<T>>,
  lastEventId: number,
): AsyncGenerator<JobNews<T>, void> {
  let seen = lastEventId;
  for await (const { events, end } of looks) {
    const newest = (events.at(-1)?.id ?? 0) + (end ? 1 : 0);
    // A queue that forgot the job had it computed anew, and ids began again.
    if (newest > 0 && newest < seen) seen = 0;
    const unseen = events.filter(({ id }) => id > seen);
    const news: JobEvent<T>[] = unseen.map(({ id, ...data }) => ({ id, event: 'progress', data }));
    if (end && newest > seen) news.push({ id: newest, ...end });
    yield { events: news, isLast: end !== null };
    seen = Math.max(seen, newest);
  }
}
