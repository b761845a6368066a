import type { Store, StoredRecord } from '../storage/store.ts';
import { resourcesOf } from './job.ts';

/** A submission takes seconds: of whoever has noted one, and published nothing for so long, nothing is to come. */
const LOST_MS = 10 * 60_000;

/** Forgets the note of a job or search without a record once it is old: it would count as waiting for ever. @returns the record, where it has come at this moment */
export async function forgetLost<T extends StoredRecord & Parameters<typeof resourcesOf>[0]>(
  store: Store,
  kind: 'jobs' | 'searches',
  id: string,
): Promise<T | null> {
  const since = await store.unfinishedSince(id);
  if (since === null || Date.now() - since < LOST_MS) return null;
  await store.removeUnfinished(id);
  // Whoever publishes looks for the note after that: one of the two sees the other.
  const record = await store.readRecord<T>(kind, id);
  if (record) await store.addUnfinished(id, resourcesOf(record));
  return record;
}
