import type { Store } from '../storage/store.ts';
import type { Stores } from '../storage/stores.ts';
import { tenantOf } from '../storage/tenant.ts';
import type { JobRecord } from './job.ts';
import type { JobLines } from './job-lines.ts';
import { unfinishedRecord } from './needed-by.ts';
import { settleFailure } from './result.ts';
import { isSearchId } from './search-lines.ts';

/** Records read in one go. */
const AT_ONCE = 16;
/** A worker that is there writes the result of a job that failed long before this; the disk may be full meanwhile. */
const SETTLE_MS = 30_000;

/** Puts jobs into their lines, as far as they may be there. */
export type Enter = (records: readonly JobRecord[]) => Promise<void>;

/**
 * Queues again what a crash, here or of the queue's server, left unfinished and unqueued. Costs a look at the names of the unfinished, and where there are any a question to each queue, however many wait.
 * Any number of processes may do it at once: a queue takes an id once, and a job whose result is there is not computed.
 */
export async function queueLostJobs(store: Store, lines: JobLines, enter: Enter): Promise<void> {
  // In this order: what ends meanwhile has its result by the time that is looked for.
  const ids = (await store.listUnfinished()).filter((id) => !isSearchId(id));
  if (ids.length === 0) return;
  const known = await lines.knownIds();
  const lost = ids.filter((id) => !known.has(id));
  const records: JobRecord[] = [];
  for (let i = 0; i < lost.length; i += AT_ONCE) {
    const looked = await Promise.all(lost.slice(i, i + AT_ONCE).map((id) => unfinishedRecord(store, id)));
    records.push(...looked.filter((record) => record !== null));
  }
  await enter(records);
}

/**
 * Writes the results of jobs that failed when their worker died. Any number of processes may do it at once.
 * @param onFailed hears of a job that got its result here
 */
export async function settleFailedJobs(
  stores: Pick<Stores, 'find'>,
  lines: JobLines,
  settleMs: number = SETTLE_MS,
  onFailed: () => void = () => {},
): Promise<void> {
  for (const job of await lines.failedJobs()) {
    if (!job.id || Date.now() - (job.finishedOn ?? 0) < settleMs) continue;
    // Of a tenant that was deleted there is nothing to settle.
    const store = await stores.find(tenantOf(job.data));
    if (store && (await settleFailure(store, job, new Error(job.failedReason)))) onFailed();
    await job.remove();
  }
}
