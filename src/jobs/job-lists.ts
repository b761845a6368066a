import { cursorAfter } from '../storage/ids.ts';
import type { Page, Store, StoredRecord } from '../storage/store.ts';
import type { Job, JobRecord } from './job.ts';
import { fitsRequest, fitsState, fitsUnfinished, type JobQuery } from './job-query.ts';
import type { JobReader } from './job-reader.ts';
import { RankedJobs } from './ranked-jobs.ts';

/** Jobs that a page of a filtered list looks at. */
export const MAX_LOOKED_AT = 1000;
/** Each is two small files, and a question to the queue where it has not ended. */
const AT_ONCE = 50;

/** Lists of jobs: all, those of a filter, and those in an order. */
export class JobLists {
  readonly #store: Store;
  readonly #reader: JobReader;
  readonly #ranked: RankedJobs;

  constructor(store: Store, reader: JobReader) {
    this.#store = store;
    this.#reader = reader;
    this.#ranked = new RankedJobs(store);
  }

  /**
   * A page of jobs, newest first, or in an order. Of an order it has those that have the figure, among the newest `MAX_RANKED`, as of a second ago.
   * @param cursor of a page of the same query
   */
  async page(limit: number, cursor?: string, { order, ...filter }: JobQuery = {}): Promise<Page<Job>> {
    if (order !== undefined) {
      const { ids, next_cursor } = await this.#ranked.page(limit, order, filter, cursor);
      const jobs = await Promise.all(ids.map((id) => this.#reader.get(id)));
      return { data: jobs.filter((job) => job !== null), next_cursor };
    }
    if (Object.values(filter).some((value) => value !== undefined))
      return this.#filtered(limit, filter, cursor);
    const page = await this.#store.listRecords<JobRecord>('jobs', limit, cursor);
    return { ...page, data: await this.#reader.describeAll(page.data) };
  }

  /** A page that has looked at as many as it may ends, however few it has found. */
  async #filtered(limit: number, filter: JobQuery, cursor?: string): Promise<Page<Job>> {
    const unfinished = new Set(await this.#store.listUnfinished());
    const found: Job[] = [];
    let looked = 0;
    let batch: StoredRecord[] = [];
    const look = async () => {
      found.push(...(await this.#describeFitting(batch, filter)));
      looked += batch.length;
      batch = [];
    };
    for await (const entry of this.#store.listEntries('jobs', cursor)) {
      if (!fitsUnfinished(filter, unfinished.has(entry.id))) continue;
      batch.push(entry);
      if (batch.length < AT_ONCE) continue;
      await look();
      if (found.length > limit) break;
      if (looked >= MAX_LOOKED_AT) return { data: found, next_cursor: cursorAfter(entry) };
    }
    await look();
    const data = found.slice(0, limit);
    const last = data.at(-1);
    return { data, next_cursor: last && found.length > limit ? cursorAfter(last) : null };
  }

  async #describeFitting(entries: readonly StoredRecord[], filter: JobQuery): Promise<Job[]> {
    const look = async ({ id, created_at }: StoredRecord) => {
      const record = await this.#store.readRecord<JobRecord>('jobs', id);
      // A crash may have left an entry of nothing, or of a time that is not the record's.
      return record?.created_at === created_at && fitsRequest(filter, record) ? record : null;
    };
    const records = (await Promise.all(entries.map(look))).filter((record) => record !== null);
    return (await this.#reader.describeAll(records)).filter((job) => fitsState(filter, job));
  }
}
