import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiClient } from './api-client.ts';
import type { SearchView } from './job-views.ts';
import type { ProgressLine } from './progress-line.ts';

/** Events of a search come as lines end, which may take minutes: between them it is looked at how far its jobs are. */
const LOOK_MS = 1000;
const ENDED = ['succeeded', 'failed', 'canceled'];

/** Follows a search to its end. @throws Refusal where it failed */
export async function followSearch(
  client: ApiClient,
  id: string,
  progress: ProgressLine,
): Promise<SearchView> {
  const ended = new AbortController();
  const looking = keepLooking(client, id, progress, ended.signal);
  try {
    return await client.follow<SearchView>(`/v1/searches/${id}`, progress.show);
  } finally {
    ended.abort();
    await looking;
    progress.end();
  }
}

async function keepLooking(client: ApiClient, id: string, { show }: ProgressLine, signal: AbortSignal) {
  for (;;) {
    await sleep(LOOK_MS, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    // What is wrong is told by the events.
    const looked = await howFar(client, id).catch(() => null);
    if (looked && !signal.aborted) show(looked.stage, looked.percent);
  }
}

/** 0 to 100: lines that have ended, and what is done of those that are being tried. */
async function howFar(client: ApiClient, id: string): Promise<{ stage: string; percent: number }> {
  const { lines, progress } = await client.get<SearchView>(`/v1/searches/${id}`);
  const shares = await Promise.all(
    lines.map(async ({ status, job_id }) => {
      if (ENDED.includes(status)) return 1;
      if (status !== 'running' || job_id === null) return 0;
      const job = await client.get<{ progress: { percent: number } }>(`/v1/jobs/${job_id}`);
      return job.progress.percent / 100;
    }),
  );
  const done = shares.reduce((sum, share) => sum + share, 0);
  return { stage: progress.stage, percent: Math.min(99, (100 * done) / (lines.length + 1)) };
}
