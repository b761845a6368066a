import { cursorAfter, parseCursor } from '../storage/ids.ts';
import type { Store, StoredRecord } from '../storage/store.ts';
import type { JobRecord, JobResult } from './job.ts';
import {
  figureOf,
  fitsRequest,
  fitsState,
  type JobFigure,
  type JobFilter,
  type JobOrder,
} from './job-query.ts';
import { readResult } from './result.ts';

/** Jobs that are put in order: the newest. What is kept of each takes about a kilobyte. */
export const MAX_RANKED = 20_000;
/** How long a look at what there is holds. */
const LOOK_MS = 1000;
/** Each is two small files. */
const AT_ONCE = 16;

/** What is kept of a job that has ended, which never changes. */
interface EndedJob
  extends Pick<JobRecord, 'id' | 'created_at' | 'model_id' | 'search_id'>,
    Pick<JobResult, 'status' | 'summary'> {}

/** A job and what it is put in order by. */
interface Ranked extends StoredRecord {
  readonly value: number;
}

/**
 * Ended jobs by a figure of their summaries. What was read of them is kept in this process: the first look reads the jobs, later ones their names and what has
 * ended since, once a second at most whoever asks.
 */
export class RankedJobs {
  readonly #store: Store;
  #known: ReadonlyMap<string, EndedJob> = new Map();
  #looking: Promise<ReadonlyMap<string, EndedJob>> | null = null;
  #looksUntil = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Ids in order, of those that have the figure; of equal ones the newest comes first. */
  async page(
    limit: number,
    order: JobOrder,
    filter: JobFilter,
    cursor?: string,
  ): Promise<{ ids: string[]; next_cursor: string | null }> {
    const { figure, isDescending } = figureOf<JobFigure>(order);
    const precedes = (a: Ranked, b: Ranked) =>
      (isDescending ? b.value - a.value : a.value - b.value) || (isNewer(a, b) ? -1 : 1);
    const after = cursor === undefined ? null : parseRankedCursor(cursor, order);
    const ranked: Ranked[] = [];
    for (const job of (await this.#look()).values()) {
      const value = job.summary?.[figure] ?? null;
      if (value === null || !fitsRequest(filter, job) || !fitsState(filter, job)) continue;
      const { id, created_at } = job;
      const entry = { id, created_at, value };
      if (after === null || (entry.id !== after.id && precedes(after, entry) < 0)) ranked.push(entry);
    }
    const page = ranked.sort(precedes).slice(0, limit);
    const last = page.at(-1);
    const isMore = ranked.length > limit && last !== undefined;
    return { ids: page.map(({ id }) => id), next_cursor: isMore ? rankedCursor(last, order) : null };
  }

  #look(): Promise<ReadonlyMap<string, EndedJob>> {
    if (this.#looking === null || performance.now() > this.#looksUntil) {
      this.#looksUntil = Number.POSITIVE_INFINITY;
      this.#looking = this.#lookAnew().finally(() => {
        this.#looksUntil = performance.now() + LOOK_MS;
      });
    }
    return this.#looking;
  }

  async #lookAnew(): Promise<ReadonlyMap<string, EndedJob>> {
    const unfinished = new Set(await this.#store.listUnfinished());
    const known = new Map<string, EndedJob>();
    const fresh: string[] = [];
    let count = 0;
    for await (const { id } of this.#store.listEntries('jobs')) {
      const job = this.#known.get(id);
      if (job) known.set(id, job);
      else if (!unfinished.has(id)) fresh.push(id);
      if (++count === MAX_RANKED) break;
    }
    for (let i = 0; i < fresh.length; i += AT_ONCE) {
      const read = await Promise.all(fresh.slice(i, i + AT_ONCE).map((id) => this.#read(id)));
      for (const job of read) if (job) known.set(job.id, job);
    }
    this.#known = known;
    return known;
  }

  /** Null of one that has not ended, or is gone. */
  async #read(id: string): Promise<EndedJob | null> {
    const [record, result] = await Promise.all([
      this.#store.readRecord<JobRecord>('jobs', id),
      readResult(this.#store, id),
    ]);
    if (!record || !result) return null;
    const { created_at, model_id, search_id } = record;
    const { status, summary } = result;
    return { id, created_at, model_id, ...(search_id && { search_id }), status, summary };
  }
}

/** What a page in this order ended with; null for a text that is no cursor of one. */
export function parseRankedCursor(text: string, order: JobOrder): Ranked | null {
  const [place = '', of, number = '', ...rest] = Buffer.from(text, 'base64url').toString().split(' ');
  const record = parseCursor(place);
  const value = number === '' ? Number.NaN : Number(number);
  return record && of === order && rest.length === 0 && Number.isFinite(value) ? { ...record, value } : null;
}

function rankedCursor(last: Ranked, order: JobOrder): string {
  return Buffer.from(`${cursorAfter(last)} ${order} ${last.value}`).toString('base64url');
}

function isNewer(a: StoredRecord, b: StoredRecord): boolean {
  return a.created_at === b.created_at ? a.id > b.id : a.created_at > b.created_at;
}
