import type { Job, JobEvent, JobResult, ProgressEvent } from './job.ts';

/** A job as those who follow it see it. */
export interface JobLook {
  readonly events: readonly ProgressEvent[];
  readonly end: { readonly event: JobResult['status']; readonly data: Job } | null;
}

/** A job's events after `lastEventId`, those of the past at once, then as they happen; the terminal one is the last. */
export async function* followJob(
  looks: AsyncIterable<JobLook>,
  lastEventId: number,
): AsyncGenerator<JobEvent, void> {
  let seen = lastEventId;
  for await (const { events, end } of looks) {
    const newest = (events.at(-1)?.id ?? 0) + (end ? 1 : 0);
    // A queue that forgot the job had it computed anew, and ids began again.
    if (newest > 0 && newest < seen) seen = 0;
    for (const { id, stage, percent } of events)
      if (id > seen) yield { id, event: 'progress', data: { stage, percent } };
    if (end && newest > seen) yield { id: newest, ...end };
    seen = Math.max(seen, newest);
  }
}
