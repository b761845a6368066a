import { LRUCache } from 'lru-cache';
import type { Exploration } from '../pipeline/explore.ts';
import type { Recipe } from '../recipe/recipe.ts';
import type { Store } from '../storage/store.ts';
import { MAX_TOLD, type ToldCandidate } from './external-step.ts';
import type { JobLook } from './follow-job.ts';
import type { Job, JobRecord } from './job.ts';
import type { Jobs } from './job-service.ts';
import { readResult } from './result.ts';
import {
  isSearchId,
  type LineJob,
  type LineState,
  offeredOf,
  type SearchRecord,
  type SearchResult,
} from './search-lines.ts';
import {
  BESTS,
  jobQuestion,
  readExploration,
  readMetric,
  readSearchResult,
  type SearchPart,
} from './search-records.ts';

/** Explorations that are kept, which never change: about ten kilobytes each. */
const KEPT_EXPLORATIONS = 500;
/** What a told candidate is before its turn. */
const NOT_THERE: ToldCandidate = { job: null, beta: null, metric: null };

/** How the jobs of a search stand. */
export interface SearchState {
  /** By their numbers. */
  readonly lines: readonly LineState[];
  /** Where the metric is the client's own, by their numbers; else none. */
  readonly told: readonly ToldCandidate[];
  /** The jobs of the best models: each but the last missed its promise on the samples that no choice saw. */
  readonly written: readonly LineJob[];
}

/** A search as it stands. */
export interface Search extends SearchState {
  readonly record: SearchRecord;
  /** Null while it goes on. */
  readonly result: SearchResult | null;
  /** Null until there is one. */
  readonly best: Job | null;
}

/** Searches as they stand, by what the store holds of them and of their jobs. */
export class SearchReader {
  readonly #store: Store;
  readonly #jobs: Jobs;
  /** By job and end: one that was deleted may come again. */
  readonly #explorations = new LRUCache<string, Exploration>({ max: KEPT_EXPLORATIONS });

  constructor(store: Store, jobs: Jobs) {
    this.#store = store;
    this.#jobs = jobs;
  }

  async get(id: string): Promise<Search | null> {
    const record = await this.record(id);
    return record && this.describe(record);
  }

  async record(id: string): Promise<SearchRecord | null> {
    return isSearchId(id) ? this.#store.readRecord<SearchRecord>('searches', id) : null;
  }

  /** Of all that it has had done. */
  async jobIds({ id, terms, lines }: SearchRecord): Promise<string[]> {
    const numbers = terms.promise.external ? Array.from({ length: MAX_TOLD }, (_, i) => i) : lines.keys();
    const parts: SearchPart[] = [...numbers, ...BESTS];
    const ids = await Promise.all(parts.map((part) => this.#store.readAnswer(jobQuestion(id, part))));
    return ids.filter((id) => id !== null);
  }

  /** How the jobs stand, as far as the store tells: the queue is not asked. */
  async states(record: SearchRecord): Promise<SearchState> {
    const isTold = record.terms.promise.external !== undefined;
    if (!isTold) {
      const lines = record.lines.map(({ recipe }, number) => this.#lineState(record, recipe, number));
      const bests = await Promise.all(BESTS.map((part) => this.#recordedJob(record, part)));
      const written = bests.flatMap((best) => best?.job ?? []);
      return { lines: await Promise.all(lines), told: [], written };
    }
    const told: ToldCandidate[] = [];
    // Each is published once the one before it is told of.
    for (let number = 0, isThere = true; number < MAX_TOLD; number++) {
      told.push(isThere ? await this.#toldCandidate(record, number) : NOT_THERE);
      isThere &&= number === 0 || told[number].job !== null;
    }
    const { candidate = null } = (await readSearchResult(this.#store, record.id)) ?? {};
    const lines = record.lines.map(({ recipe }) => ({ recipe, job: null, exploration: null }));
    const best = candidate === null ? null : told[candidate].job;
    return { lines, told, written: best === null ? [] : [best] };
  }

  async describe(record: SearchRecord): Promise<Search> {
    const result = await readSearchResult(this.#store, record.id);
    const { lines, told, written } = await this.states(record);
    const offered = offeredOf(written);
    const best = offered ? await this.#jobs.get(offered.id) : null;
    if (result) return { record, result, lines, told, written, best };
    const seen = async <T extends { readonly job: LineJob | null }>(states: readonly T[]) =>
      Promise.all(states.map(async (state) => ({ ...state, job: await this.#inQueue(state.job) })));
    return { record, result, written, best, lines: await seen(lines), told: await seen(told) };
  }

  /** As those who follow it see it; null where there is none. */
  async look(id: string): Promise<JobLook<Search> | null> {
    const search = await this.get(id);
    if (!search) return null;
    const { lines, told, result, best } = search;
    const steps =
      [...lines, ...told].filter(({ job }) => job?.finished_at).length +
      told.filter(({ metric }) => metric !== null).length;
    const events = Array.from({ length: steps + 1 }, (_, i) => ({
      id: i + 1,
      stage: best && i === steps ? 'write' : 'explore',
      percent: i === steps ? percentOf(search) : shareOf(i, search),
    }));
    return { events, end: result && { event: result.status, data: search } };
  }

  async #lineState(record: SearchRecord, recipe: Recipe, part: SearchPart): Promise<LineState> {
    const { job = null } = (await this.#recordedJob(record, part)) ?? {};
    return { recipe, job, exploration: job?.status === 'succeeded' ? await this.#exploration(job) : null };
  }

  async #exploration({ id, finished_at }: LineJob): Promise<Exploration | null> {
    const key = `${id} ${finished_at}`;
    const found = this.#explorations.get(key) ?? (await readExploration(this.#store, id));
    if (found) this.#explorations.set(key, found);
    return found;
  }

  async #toldCandidate(record: SearchRecord, number: number): Promise<ToldCandidate> {
    const told = number === 0 ? null : await this.#recordedJob(record, number);
    return {
      job: told?.job ?? null,
      beta: told?.recipe.beta ?? null,
      metric: await readMetric(this.#store, record.id, number),
    };
  }

  /** With the recipe of its record. */
  async #recordedJob(
    { id: searchId }: SearchRecord,
    part: SearchPart,
  ): Promise<{ job: LineJob; recipe: Recipe } | null> {
    const id = await this.#store.readAnswer(jobQuestion(searchId, part));
    if (id === null) return null;
    const result = await readResult(this.#store, id);
    // Of one that was deleted, the next is submitted under the same id.
    const record = await this.#store.readRecord<JobRecord>('jobs', id);
    if (!record) return null;
    const { recipe } = record;
    if (!result) {
      const nothing = { started_at: null, finished_at: null, error: null, summary: null };
      return { recipe, job: { id, status: 'queued', ...nothing } };
    }
    const { status, started_at, finished_at, error, summary } = result;
    return { recipe, job: { id, status, started_at, finished_at, error, summary } };
  }

  /** With what the queue knows of a job that has not ended. */
  async #inQueue(job: LineJob | null): Promise<LineJob | null> {
    if (job === null || job.finished_at !== null) return job;
    const {
      status = job.status,
      started_at = null,
      finished_at = null,
    } = (await this.#jobs.get(job.id)) ?? {};
    // One that has ended meanwhile is told as ended with what it found, by the next look.
    return { ...job, status: finished_at === null ? status : 'running', started_at };
  }
}

/** 0 to 100: what has been tried, of all that may be, and the best model. */
export function percentOf(search: Search): number {
  if (search.result?.status === 'succeeded') return 100;
  const ended = [...search.lines, ...search.told].filter(({ job }) => job?.finished_at).length;
  return shareOf(ended, search);
}

function shareOf(ended: number, { lines, told }: Search): number {
  return Math.min(99, Math.round((100 * ended) / (Math.max(lines.length, told.length) + 1)));
}
