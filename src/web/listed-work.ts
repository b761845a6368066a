import { read } from './api-requests.ts';
import type { Job, Page, SearchEntry } from './api-types.ts';

/** A search, or a job of its own, in the list of both. */
export type Work = ({ readonly kind: 'search' } & SearchEntry) | ({ readonly kind: 'job' } & Job);

export interface WorkQuery {
  /** `searches`, `jobs`, or both where it is empty. */
  readonly kind: string;
  readonly status: string;
  readonly model: string;
  /** Whether jobs that a search had done are told too. */
  readonly withParts: boolean;
  /** How many entries of each kind. */
  readonly count: number;
}

const PAGE = 100;
/** Searches have jobs by the dozen, and the list does not tell them apart. */
const MOST_PAGES = 5;

/** The newest searches and jobs, and whether there are more. */
export async function listWork(
  query: WorkQuery,
  signal: AbortSignal,
): Promise<{ work: Work[]; hasMore: boolean }> {
  const { kind, status, model, withParts, count } = query;
  const asked = new URLSearchParams({ ...(status && { status }), ...(model && { model_id: model }) });
  const [searches, jobs] = await Promise.all([
    kind === 'jobs'
      ? NOTHING
      : listUpTo<SearchEntry>(
          '/v1/searches',
          new URLSearchParams(),
          count,
          (search) => (!status || search.status === status) && (!model || search.model_id === model),
          signal,
        ),
    kind === 'searches'
      ? NOTHING
      : listUpTo<Job>('/v1/jobs', asked, count, (job) => withParts || job.search_id === null, signal),
  ]);
  const work: Work[] = [
    ...searches.entries.map((search) => ({ kind: 'search' as const, ...search })),
    ...jobs.entries.map((job) => ({ kind: 'job' as const, ...job })),
  ];
  work.sort((a, b) => b.created_at.localeCompare(a.created_at));
  return { work: work.slice(0, count), hasMore: searches.hasMore || jobs.hasMore || work.length > count };
}

const NOTHING = { entries: [], hasMore: false };

async function listUpTo<T>(
  path: string,
  query: URLSearchParams,
  count: number,
  isWanted: (entry: T) => boolean,
  signal: AbortSignal,
): Promise<{ entries: T[]; hasMore: boolean }> {
  const entries: T[] = [];
  const asked = new URLSearchParams({ ...Object.fromEntries(query), limit: String(PAGE) });
  for (let pages = 0; pages < MOST_PAGES; pages++) {
    const { data, next_cursor } = await read<Page<T>>(`${path}?${asked}`, signal);
    entries.push(...data.filter(isWanted));
    if (next_cursor === null) return { entries: entries.slice(0, count), hasMore: entries.length > count };
    if (entries.length > count) break;
    asked.set('cursor', next_cursor);
  }
  return { entries: entries.slice(0, count), hasMore: true };
}
