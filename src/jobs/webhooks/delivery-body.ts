import type { JobRecord, JobResult } from '../job.ts';
import { offeredOf, type SearchRecord, type SearchResult } from '../search-lines.ts';
import type { SearchState } from '../search-reader.ts';

/** What a receiver is sent: enough to know whether to ask for the rest, by the paths in `links`. */
interface Body {
  readonly type: string;
  readonly timestamp: string;
  readonly data: object;
}

export function bodyOfJob({ id, metadata }: JobRecord, { status, finished_at, ...rest }: JobResult): Body {
  const { decision = null, sentence = null } = rest.summary ?? {};
  const error = rest.error && { code: rest.error.code, detail: rest.error.detail };
  const links = { self: `/v1/jobs/${id}` };
  return {
    type: `job.${status}`,
    timestamp: finished_at,
    data: { id, status, decision, sentence, error, metadata, links },
  };
}

export function bodyOfSearch(
  { id, metadata }: SearchRecord,
  { status, finished_at, error: failure }: SearchResult,
  { written }: SearchState,
): Body {
  const best = offeredOf(written);
  const { decision = null, sentence = null } = best?.summary ?? {};
  const error = failure && { code: failure.code, detail: failure.detail };
  const links = { self: `/v1/searches/${id}`, best: best && `/v1/jobs/${best.id}` };
  return {
    type: `search.${status}`,
    timestamp: finished_at,
    data: { id, status, decision, sentence, error, metadata, links },
  };
}

/** @param since when it was seen to wait */
export function bodyOfCandidate(
  { id, model_id, metadata }: SearchRecord,
  candidate: number,
  { told }: SearchState,
  since: string,
): Body {
  const job = told[candidate]?.job ?? null;
  const links = {
    self: `/v1/searches/${id}`,
    model: job === null ? `/v1/models/${model_id}` : `/v1/jobs/${job.id}`,
    metric: `/v1/searches/${id}/candidates/${candidate}/metric`,
  };
  return {
    type: 'candidate.waiting',
    timestamp: since,
    data: { id, status: 'waiting', candidate, metadata, links },
  };
}
