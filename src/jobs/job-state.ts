import type { Store } from '../storage/store.ts';
import type { Job, JobRecord, JobResult } from './job.ts';
import { NO_PROSPECT } from './job-lanes.ts';
import type { QueuedJob } from './job-line.ts';
import { endedProgress, progressOf } from './progress-events.ts';

export async function endedJob(store: Store, record: JobRecord, result: JobResult): Promise<Job> {
  const last = (await endedProgress(store, record.id, result)).at(-1);
  const stage = last?.stage ?? 'queued';
  const percent = result.status === 'succeeded' ? 100 : (last?.percent ?? 0);
  return { ...requestOf(record), ...result, ...NO_PROSPECT, progress: { stage, percent } };
}

/** @param queued what the queue knows of it; without, it is told as waiting */
export function unfinishedJob(record: JobRecord, queued: QueuedJob | undefined): Job {
  const { stage, percent } = progressOf(queued).at(-1) ?? { stage: 'queued', percent: 0 };
  return {
    ...requestOf(record),
    status: queued?.isRunning ? 'running' : 'queued',
    position: queued?.position ?? null,
    eta: queued?.eta ?? null,
    started_at: queued?.started_at ?? null,
    finished_at: null,
    error: null,
    summary: null,
    artifacts: [],
    timings_ms: null,
    progress: { stage, percent },
  };
}

function requestOf({ request_sha256: _, ...request }: JobRecord) {
  return request;
}
