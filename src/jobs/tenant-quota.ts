import PQueue from 'p-queue';
import type { Quota } from '../access/quotas.ts';
import { EmpError } from '../core/errors.ts';
import type { Store } from '../storage/store.ts';
import type { JobRecord } from './job.ts';
import { messagePriority } from './job-lanes.ts';
import type { JobLines } from './job-lines.ts';
import { unfinishedRecord } from './needed-by.ts';
import { isSearchId } from './search-lines.ts';

const DAY_MS = 24 * 3600 * 1000;
/** Records read in one go. */
const AT_ONCE = 16;

/** What a tenant uses now. */
export interface Usage {
  readonly bytes: number;
  readonly waiting_jobs: number;
  readonly running_jobs: number;
  readonly searches_per_day: number;
}

interface TenantQuotaOptions {
  readonly store: Store;
  readonly lines: JobLines;
  /** As it is now. */
  readonly quota: () => Quota;
}

/**
 * Keeps a tenant within its quota. Whatever is counted is counted where all processes see it, after what is asked for has been noted there: several at a time may refuse each other the last
 * place, and never take more than there are.
 */
export class TenantQuota {
  readonly #store: Store;
  readonly #lines: JobLines;
  readonly #quota: () => Quota;
  readonly #takers = new PQueue({ concurrency: 1 });
  /** Whether jobs are held back that may begin when another has ended, as far as this process knows. */
  #isHolding = false;

  constructor({ store, lines, quota }: TenantQuotaOptions) {
    this.#store = store;
    this.#lines = lines;
    this.#quota = quota;
  }

  /** Does what takes a place among the jobs that wait, one after the other: several at once would refuse each other the last. */
  async inTurn<T>(take: () => Promise<T>): Promise<T> {
    if (this.#quota().waiting_jobs === null) return await take();
    return await this.#takers.add(take);
  }

  /** To be asked once a job is noted as unfinished. @throws EmpError quota_exceeded */
  async checkJobs(): Promise<void> {
    await this.#requireWaiting(0);
  }

  /** To be asked before anything of a job is kept: one that is sure to be refused leaves nothing. @throws EmpError quota_exceeded */
  async requirePlace(): Promise<void> {
    await this.#requireWaiting(1);
  }

  /** @param more jobs than are noted */
  async #requireWaiting(more: number): Promise<void> {
    const { waiting_jobs: limit } = this.#quota();
    if (limit === null || (await this.#count()).waiting + more <= limit) return;
    throw new EmpError(
      'quota_exceeded',
      `${limit} of your jobs may wait, and that many do: come again when one has begun`,
    );
  }

  /** To be asked once a search is noted. @throws EmpError quota_exceeded */
  async checkSearches(): Promise<void> {
    const { searches_per_day: limit } = this.#quota();
    if (limit === null || (await this.#searchesOfADay()) <= limit) return;
    throw new EmpError(
      'quota_exceeded',
      `you may make ${limit} searches in 24 hours, and have: come again later`,
    );
  }

  /** Puts jobs into their lines, as many as may be there at a time; the others when one of those has ended. @throws EmpError not_ready */
  async enter(records: readonly JobRecord[]): Promise<void> {
    if (this.#quota().running_jobs === null) await this.#lines.add(records);
    else await this.#admit();
  }

  /** To be called when a job has ended, anybody's. @throws EmpError not_ready */
  async goOn(): Promise<void> {
    if (this.#isHolding) await this.#admit();
  }

  async usage(): Promise<{ readonly used: Usage; readonly quota: Quota }> {
    const [bytes, { waiting, running }, searches_per_day] = await Promise.all([
      this.#store.usedBytes(),
      this.#count(),
      this.#searchesOfADay(),
    ]);
    const used = { bytes, waiting_jobs: waiting, running_jobs: running, searches_per_day };
    return { used, quota: this.#quota() };
  }

  async #count(): Promise<{ waiting: number; running: number }> {
    const [ids, runningIds] = await Promise.all([this.#unfinished(), this.#lines.runningIds()]);
    const running = ids.filter((id) => runningIds.has(id)).length;
    return { waiting: ids.length - running, running };
  }

  async #unfinished(): Promise<string[]> {
    return (await this.#store.listUnfinished()).filter((id) => !isSearchId(id));
  }

  async #searchesOfADay(): Promise<number> {
    const since = new Date(Date.now() - DAY_MS).toISOString();
    let searches = 0;
    for await (const { created_at } of this.#store.listEntries('searches')) {
      if (created_at < since) break;
      searches++;
    }
    return searches;
  }

  /** Which jobs are let in follows from what all processes see, so that several who do so at a time let in the same. */
  async #admit(): Promise<void> {
    const { running_jobs: limit } = this.#quota();
    const ids = await this.#unfinished();
    const known = await this.#lines.knownIds();
    const held = ids.filter((id) => !known.has(id));
    const room = limit === null ? held.length : Math.max(0, limit - (ids.length - held.length));
    this.#isHolding = held.length > room;
    if (room === 0) return;
    const records: JobRecord[] = [];
    for (let i = 0; i < held.length; i += AT_ONCE) {
      const read = held.slice(i, i + AT_ONCE).map((id) => unfinishedRecord(this.#store, id));
      records.push(...(await Promise.all(read)).filter((record) => record !== null));
    }
    records.sort((a, b) => messagePriority(a) - messagePriority(b) || (a.created_at < b.created_at ? -1 : 1));
    await this.#lines.add(records.slice(0, room));
  }
}
