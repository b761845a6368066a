import type { Exploration } from '../pipeline/explore.ts';
import type { Store } from '../storage/store.ts';
import type { JobLook } from './follow-job.ts';
import type { Job, JobRecord } from './job.ts';
import type { Jobs } from './job-service.ts';
import { readResult } from './result.ts';
import {
  isSearchId,
  type LineJob,
  type LineState,
  type SearchRecord,
  type SearchResult,
} from './search-lines.ts';
import { jobQuestion, readExploration, readSearchResult } from './search-records.ts';

/** A search as it stands. */
export interface Search {
  readonly record: SearchRecord;
  /** Null while it goes on. */
  readonly result: SearchResult | null;
  readonly lines: readonly LineState[];
  /** The job of the best model; null until there is one. */
  readonly best: Job | null;
}

/** Searches as they stand, by what the store holds of them and of their jobs. */
export class SearchReader {
  readonly #store: Store;
  readonly #jobs: Jobs;

  constructor(store: Store, jobs: Jobs) {
    this.#store = store;
    this.#jobs = jobs;
  }

  async get(id: string): Promise<Search | null> {
    const record = isSearchId(id) ? await this.#store.readRecord<SearchRecord>('searches', id) : null;
    return record && this.describe(record);
  }

  /** Of each line, and of the best; null where there is none yet. */
  jobIds({ id, lines }: SearchRecord): Promise<(string | null)[]> {
    const parts = [...lines.keys(), 'best' as const];
    return Promise.all(parts.map((part) => this.#store.readAnswer(jobQuestion(id, part))));
  }

  /** How the jobs stand, as far as the store tells: the queue is not asked. */
  async states(record: SearchRecord): Promise<{ lines: LineState[]; best: LineJob | null }> {
    const ids = await this.jobIds(record);
    const jobs = await Promise.all(ids.map((id) => id && this.#jobOf(id)));
    const lines = await Promise.all(
      record.lines.map(async ({ recipe }, i) => {
        const job = jobs[i] || null;
        return { recipe, job, exploration: job && (await this.#explorationOf(job)) };
      }),
    );
    return { lines, best: jobs.at(-1) || null };
  }

  async #jobOf(id: string): Promise<LineJob | null> {
    const result = await readResult(this.#store, id);
    // Of one that was deleted, the next is submitted under the same id.
    if (!(await this.#store.readRecord<JobRecord>('jobs', id))) return null;
    if (!result) return { id, status: 'queued', started_at: null, finished_at: null, error: null };
    const { status, started_at, finished_at, error } = result;
    return { id, status, started_at, finished_at, error };
  }

  async #explorationOf({ id, status }: LineJob): Promise<Exploration | null> {
    return status === 'succeeded' ? await readExploration(this.#store, id) : null;
  }

  async describe(record: SearchRecord): Promise<Search> {
    const result = await readSearchResult(this.#store, record.id);
    const { lines, best } = await this.states(record);
    const job = best && (await this.#jobs.get(best.id));
    return {
      record,
      result,
      best: job,
      lines: result ? lines : await Promise.all(lines.map((line) => this.#asQueued(line))),
    };
  }

  /** What the queue knows of a job that has not ended. */
  async #asQueued(line: LineState): Promise<LineState> {
    const { job } = line;
    if (job === null || job.finished_at !== null) return line;
    const { status = job.status, started_at = null } = (await this.#jobs.get(job.id)) ?? {};
    return { ...line, job: { ...job, status, started_at } };
  }

  async look(id: string): Promise<JobLook<Search> | null> {
    const search = await this.get(id);
    if (!search) return null;
    const ended = search.lines.filter(({ job }) => job?.finished_at).length;
    const percent = percentOf(search);
    const events = Array.from({ length: ended + 1 }, (_, i) => ({
      id: i + 1,
      stage: search.best && i === ended ? 'write' : 'explore',
      percent: i === ended ? percent : Math.round((100 * i) / (search.lines.length + 1)),
    }));
    return { events, end: search.result && { event: search.result.status, data: search } };
  }
}

/** 0 to 100: lines that have ended, of all and the best model. */
export function percentOf({ record, result, lines }: Search): number {
  if (result?.status === 'succeeded') return 100;
  const ended = lines.filter(({ job }) => job?.finished_at).length;
  return Math.round((100 * ended) / (record.lines.length + 1));
}
