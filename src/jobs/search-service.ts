// Over 250 lines: each verb of searches, and what goes on with them.
import type { Logger } from 'pino';
import { EmpError } from '../core/errors.ts';
import type { ExternalMetric } from '../recipe/lines.ts';
import { freshId } from '../storage/ids.ts';
import type { Page, Store } from '../storage/store.ts';
import { nextExternalStep, type ToldCandidate } from './external-step.ts';
import { followJob, type JobNews } from './follow-job.ts';
import { type JobRequest, resourcesOf } from './job.ts';
import type { JobQueues } from './job-queues.ts';
import type { Jobs } from './job-service.ts';
import { JobWatches } from './job-watches.ts';
import { useResource } from './keeping.ts';
import { inputFailure } from './result.ts';
import { isSearchId, type SearchRecord, type SearchRequest, type SearchResult } from './search-lines.ts';
import { type Search, SearchReader, type SearchState } from './search-reader.ts';
import {
  BESTS,
  jobKey,
  jobOf,
  readSearchResult,
  type SearchPart,
  unfinishedSearch,
  writeMetric,
  writeSearchResult,
} from './search-records.ts';
import { nextStep } from './search-step.ts';
import type { TenantQuota } from './tenant-quota.ts';
import { Wakeups } from './wakeups.ts';
import { SearchNews } from './webhooks/search-news.ts';

/** Each is a few jobs at a time, and some dozens of small files that are read at every look. */
const MOST_AT_ONCE = 100;

interface SearchesOptions {
  readonly store: Store;
  readonly jobs: Jobs;
  readonly queues: JobQueues;
  readonly quota: TenantQuota;
  readonly log: Logger;
  /** Hears of searches that have ended, or have other candidates for the client to measure. */
  readonly onNews: (id: string) => void;
}

/**
 * Searches for the best recipe within a promise. A search is a record and jobs: what is to be done next follows from how these stand, is the same whoever asks, and is done once however many do.
 * So nothing of it is in memory, and what dies costs the one job that it was at.
 */
export class Searches {
  readonly #store: Store;
  readonly #jobs: Jobs;
  readonly #queues: JobQueues;
  readonly #quota: TenantQuota;
  readonly #log: Logger;
  readonly #reader: SearchReader;
  readonly #wakeups = new Wakeups();
  readonly #watches: JobWatches<Search>;
  /** Those that go on, as far as this process knows. */
  readonly goingOn = new Set<string>();
  readonly #news: SearchNews;

  constructor({ store, jobs, queues, quota, log, onNews }: SearchesOptions) {
    this.#store = store;
    this.#jobs = jobs;
    this.#queues = queues;
    this.#quota = quota;
    this.#log = log;
    this.#news = new SearchNews(onNews);
    this.#reader = new SearchReader(store, jobs);
    this.#watches = new JobWatches({
      look: (id) => this.#reader.look(id),
      subscribe: (id) => this.#wakeups.subscribe(id),
    });
  }

  /** Records a search durably, and begins it. @throws EmpError not_ready, queue_full, quota_exceeded, insufficient_storage */
  async submit(request: SearchRequest): Promise<Search> {
    const record: SearchRecord = { id: freshId('sea'), created_at: new Date().toISOString(), ...request };
    await this.#requireRoom();
    const upload = await this.#store.createUpload();
    try {
      await upload.announce(1);
      await this.#store.addUnfinished(record.id, resourcesOf(record));
      if (record.webhook) await this.#store.addUntold(record.id);
      await this.#store.publish('searches', upload, record);
      // Where this took long, the note was taken for one of the dead.
      if ((await this.#store.unfinishedSince(record.id)) === null)
        await this.#store.addUnfinished(record.id, resourcesOf(record));
      for (const id of resourcesOf(record)) await useResource(this.#store, id);
      await this.#quota.checkSearches();
    } catch (error) {
      await this.#store.remove('searches', record.id);
      await this.#store.removeUnfinished(record.id, resourcesOf(record));
      if (record.webhook) await this.#store.removeUntold(record.id);
      throw error;
    } finally {
      await upload.discard();
    }
    this.goingOn.add(record.id);
    // It is acknowledged, whatever the queue says now.
    await this.#advance(record.id).catch((error) =>
      this.#log.warn({ err: error, search: record.id, request_id: record.request_id }, 'search'),
    );
    return await this.#reader.describe(record);
  }

  async get(id: string): Promise<Search | null> {
    return await this.#reader.get(id);
  }

  async list(limit: number, cursor?: string): Promise<Page<Search>> {
    const page = await this.#store.listRecords<SearchRecord>('searches', limit, cursor);
    return { ...page, data: await Promise.all(page.data.map((record) => this.#reader.describe(record))) };
  }

  /** Ends a search and its jobs; a finished one stays as it is. Null where there is none. */
  async cancel(id: string): Promise<Search | null> {
    const record = await this.#store.readRecord<SearchRecord>('searches', id);
    if (!record) return null;
    if (!(await readSearchResult(this.#store, id))) {
      const error = inputFailure(new EmpError('canceled', 'The search was canceled.'));
      await this.#end(record, { status: 'canceled', error });
      this.#wakeups.wake(id);
    }
    await this.#endJobs(record);
    return await this.#reader.describe(record);
  }

  /** Deletes a search that has ended; its jobs stay. False where there is none. @throws EmpError conflict while it goes on */
  async delete(id: string): Promise<boolean> {
    const record = await this.#store.readRecord<SearchRecord>('searches', id);
    if (!record) return false;
    if (!(await readSearchResult(this.#store, id)))
      throw new EmpError('conflict', `search ${id} has not finished: cancel it first`);
    if (record.webhook) await this.#store.removeUntold(id);
    return await this.#store.remove('searches', id);
  }

  /**
   * Notes what the client's own metric says of a candidate, for good. Null where there is no such search.
   * @throws EmpError not_found for a candidate that is not there, conflict where it is not asked for, or was told otherwise
   */
  async tell(id: string, candidate: number, value: number): Promise<Search | null> {
    const search = await this.#reader.get(id);
    if (!search) return null;
    const { record, told, result } = search;
    if (record.terms.promise.external === undefined)
      throw new EmpError('conflict', `search ${id} measures its candidates itself`);
    const { job = null, metric = null } = told[candidate] ?? {};
    if (candidate !== 0 && job === null)
      throw new EmpError('not_found', `search ${id} has no candidate ${candidate}`);
    if (job !== null && job.status !== 'succeeded')
      throw new EmpError('conflict', `candidate ${candidate} is ${job.status}: there is no model to measure`);
    if (metric === null && result !== null) throw new EmpError('conflict', `search ${id} has ended`);
    const stands = metric ?? (await writeMetric(this.#store, id, candidate, value));
    if (stands !== value)
      throw new EmpError('conflict', `candidate ${candidate} was told to be worth ${stands}, which stands`);
    this.#wakeups.wake(id);
    await this.#advance(id).catch((error) => this.#log.warn({ err: error, search: id }, 'search'));
    return await this.#reader.describe(record);
  }

  /** As `Jobs.follow`. */
  follow(id: string, lastEventId: number, signal: AbortSignal): AsyncGenerator<JobNews<Search>, void> {
    return followJob(this.#watches.looks(id, signal), lastEventId);
  }

  /** Looks for searches that another process has begun, and perhaps left. */
  async takeUp(): Promise<void> {
    const ids = await this.#store.listUnfinished().catch(() => []);
    for (const id of ids.filter(isSearchId)) this.goingOn.add(id);
  }

  /** Does for each search that goes on what is to be done next. @returns how many there are */
  async advanceAll(): Promise<number> {
    for (const id of this.goingOn)
      await this.#advance(id).catch((error) => this.#log.warn({ err: error, search: id }, 'search'));
    return this.goingOn.size;
  }

  /** @throws EmpError not_ready, queue_full, insufficient_storage */
  async #requireRoom(): Promise<void> {
    await this.#queues.requireRoom(this.#store);
    const goingOn = (await this.#store.listUnfinished()).filter(isSearchId).length;
    if (goingOn < MOST_AT_ONCE) return;
    throw new EmpError('queue_full', `${goingOn} searches are going on, and no more may: try again later`);
  }

  /** Does what is to be done next. Any number of processes may: what each does is the same, and is done once. */
  async #advance(id: string): Promise<void> {
    const record = await unfinishedSearch(this.#store, id);
    if (!record) {
      this.goingOn.delete(id);
      return;
    }
    const state = await this.#reader.states(record);
    const { external } = record.terms.promise;
    if (external) await this.#advanceTold(record, external, state.told);
    else await this.#advanceLines(record, state);
    // It may have been canceled meanwhile, by who could not know of the job.
    if ((await readSearchResult(this.#store, id))?.status === 'canceled') await this.#endJobs(record);
  }

  async #advanceLines(record: SearchRecord, { lines, written }: SearchState): Promise<void> {
    const { max_seconds = Number.POSITIVE_INFINITY } = record.terms.limits;
    const isOverTime = Date.now() - Date.parse(record.created_at) > max_seconds * 1000;
    const step = nextStep(record.terms, lines, written, isOverTime);
    if (step.kind === 'wait') return;
    if (step.kind === 'explore') {
      for (const { index, terms } of step.lines)
        await this.#submitJob(record, index, { ...record.lines[index], line: terms });
    } else if (step.kind === 'write') {
      const { recipe, lane } = record.lines[step.line];
      await this.#submitJob(record, BESTS[step.attempt], { recipe: { ...recipe, beta: step.beta }, lane });
    } else if (step.kind === 'stop') {
      for (const job of step.jobs) await this.#jobs.cancel(job);
    } else {
      await this.#end(record, { status: step.status, error: step.error });
    }
    this.#wakeups.wake(record.id);
  }

  async #advanceTold(
    record: SearchRecord,
    metric: ExternalMetric,
    told: readonly ToldCandidate[],
  ): Promise<void> {
    this.#news.looked(record, told);
    const [{ recipe, lane }] = record.lines;
    const step = await nextExternalStep(metric, recipe, told);
    if (step.kind === 'wait') return;
    if (step.kind === 'prune')
      await this.#submitJob(record, step.candidate, { recipe: { ...recipe, beta: step.beta }, lane });
    else await this.#end(record, { status: step.status, error: step.error, candidate: step.best });
    this.#wakeups.wake(record.id);
  }

  async #end(record: SearchRecord, end: Omit<SearchResult, 'finished_at'>): Promise<void> {
    await writeSearchResult(this.#store, record, end);
    this.#news.ended(record);
  }

  async #submitJob(
    record: SearchRecord,
    part: SearchPart,
    rest: Pick<JobRequest, 'recipe' | 'lane' | 'line'>,
  ): Promise<void> {
    await this.#jobs.submit({ ...jobOf(record), ...rest }, jobKey(record.id, part));
  }

  async #endJobs(record: SearchRecord): Promise<void> {
    for (const id of await this.#reader.jobIds(record)) await this.#jobs.cancel(id);
  }
}
