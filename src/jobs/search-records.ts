import { json } from 'node:stream/consumers';
import { CANDIDATES_FILE } from '../pipeline/artifact-names.ts';
import type { Exploration } from '../pipeline/explore.ts';
import { isCode } from '../storage/durable-files.ts';
import type { Question, Store } from '../storage/store.ts';
import { type JobRequest, resourcesOf } from './job.ts';
import { forgetLost } from './lost-notes.ts';
import { sha256 } from './request-hash.ts';
import type { SearchRecord, SearchResult } from './search-lines.ts';

const RESULT = 'result.json';

/** How a search ended; null while it has not, or is not there. */
export function readSearchResult(store: Store, id: string): Promise<SearchResult | null> {
  return store.readJson<SearchResult>('searches', id, RESULT);
}

/** Settles how a search ended; of several that say so the first is heard. */
export async function writeSearchResult(
  store: Store,
  record: SearchRecord,
  end: Omit<SearchResult, 'finished_at'>,
): Promise<void> {
  const result: SearchResult = { ...end, finished_at: new Date().toISOString() };
  await store.decideOnce({ kind: 'searches', id: record.id, name: RESULT }, JSON.stringify(result));
  await store.removeUnfinished(record.id, resourcesOf(record));
}

/** Null for a search that has ended, whose note a crash has left, and for one without a record: while its note is young, another process may be about to publish it. */
export async function unfinishedSearch(store: Store, id: string): Promise<SearchRecord | null> {
  const record = await store.readRecord<SearchRecord>('searches', id);
  if (!record) return await forgetLost<SearchRecord>(store, 'searches', id);
  if (!(await readSearchResult(store, id))) return record;
  await store.removeUnfinished(id, resourcesOf(record));
  return null;
}

/** The jobs that write the best model, by how many missed their promise before. */
export const BESTS = ['best', 'best-2', 'best-3', 'best-4'] as const;
/** A line, or a candidate, by its number, or the best model. */
export type SearchPart = number | (typeof BESTS)[number];

/** What the job of a part is submitted under: the same again is the same job. */
export function jobKey(searchId: string, part: SearchPart): string {
  // No idempotency key of a client holds a line break.
  return `search\n${searchId}\n${part}`;
}

/** What all jobs of a search have in common. None tells of its end: that of the search is told. */
export function jobOf(record: SearchRecord): Omit<JobRequest, 'recipe' | 'lane' | 'line'> {
  const { id, model_id, calibration_dataset_id, evaluation_dataset_id, priority, metadata } = record;
  const { selection_dataset_id, request_id } = record;
  return {
    ...{ model_id, scores_dataset_id: null, calibration_dataset_id, evaluation_dataset_id },
    ...(selection_dataset_id && { selection_dataset_id }),
    ...(request_id !== undefined && { request_id }),
    ...{ priority, metadata, search_id: id },
  };
}

export function jobQuestion(searchId: string, part: SearchPart): Question {
  return { kind: 'idempotency', id: sha256(jobKey(searchId, part)) };
}

/** What a job of a line has found; null where it has published nothing. */
export async function readExploration(store: Store, jobId: string): Promise<Exploration | null> {
  try {
    return (await json(store.readFile('jobs', jobId, CANDIDATES_FILE))) as Exploration;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}

/** What a client's own metric says of a candidate; null until it is told. */
export async function readMetric(store: Store, id: string, candidate: number): Promise<number | null> {
  const told = await store.readJson<{ readonly value: number }>('searches', id, metricName(candidate));
  return told?.value ?? null;
}

/** Notes it for good. Returns what stands: the first that was told. */
export async function writeMetric(
  store: Store,
  id: string,
  candidate: number,
  value: number,
): Promise<number> {
  const question = { kind: 'searches', id, name: metricName(candidate) } as const;
  return JSON.parse(await store.decideOnce(question, JSON.stringify({ value }))).value;
}

function metricName(candidate: number): string {
  return `metric-${candidate}.json`;
}
