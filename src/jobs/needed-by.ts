import type { Store } from '../storage/store.ts';
import { type JobRecord, resourcesOf } from './job.ts';
import { forgetLost } from './lost-notes.ts';
import { readResult } from './result.ts';
import { isSearchId } from './search-lines.ts';
import { unfinishedSearch } from './search-records.ts';

/** The id of a queued or running job, or of a search that goes on, that needs this model or dataset. The store is asked: the queue may be away or have forgotten. */
export async function neededBy(store: Store, resourceId: string): Promise<string | null> {
  for await (const id of store.listNeeding(resourceId)) {
    const record = isSearchId(id) ? await unfinishedSearch(store, id) : await unfinishedRecord(store, id);
    if (record && resourcesOf(record).includes(resourceId)) return id;
  }
  return null;
}

/** Null for a job that has ended, whose note a crash has left, and for one without a record: while its note is young, another process may be about to publish it. */
export async function unfinishedRecord(store: Store, id: string): Promise<JobRecord | null> {
  const record = await store.readRecord<JobRecord>('jobs', id);
  if (!record) return await forgetLost<JobRecord>(store, 'jobs', id);
  if (!(await readResult(store, id))) return record;
  await store.removeUnfinished(id, resourcesOf(record));
  return null;
}
