import type { Retention } from '../storage/retention-terms.ts';
import type { Kind, Store, StoredRecord } from '../storage/store.ts';
import { type JobRecord, resourcesOf } from './job.ts';
import { heldBy, isExpired, type Kept, keepPin, readKept } from './keeping.ts';
import { neededBy } from './needed-by.ts';
import { readResult } from './result.ts';
import { readSearchResult } from './search-records.ts';

/** Searches before their jobs, which they need, and jobs before what they read. */
const ORDER: readonly Kind[] = ['searches', 'jobs', 'datasets', 'models'];

/** What has been removed, and why: it was old, or bytes were short. */
export interface Removed {
  readonly kind: Kind;
  readonly id: string;
  readonly reason: 'age' | 'bytes';
}

interface Found extends Kept {
  readonly kind: Kind;
  readonly id: string;
}

/**
 * Removes what has been kept for as long as it is to be, and then, while the files of the store take more than they may, what was used longest ago. Deliberately never: what is pinned, goes on, or
 * is read by what goes on; a job whose search is there. Any number of processes may do it at once, beside whatever clients do.
 */
export async function removeExpired(
  store: Store,
  retention: Retention,
  { now, signal, onRemoved }: { now: number; signal: AbortSignal; onRemoved(removed: Removed): void },
): Promise<void> {
  const kept: Found[] = [];
  for (const kind of ORDER) {
    for await (const entry of store.listEntries(kind)) {
      signal.throwIfAborted();
      const found = await look(store, retention, kind, entry);
      if (found === null) continue;
      if (isExpired(found, now) && (await removeUnneeded(store, found)))
        onRemoved({ kind, id: entry.id, reason: 'age' });
      else if (!found.pinned) kept.push(found);
    }
  }
  if (retention.bytes === null) return;
  kept.sort((a, b) => (a.usedAt < b.usedAt ? -1 : 1));
  // In two rounds: what a search or job needs may go once that has gone.
  for (const found of [...kept, ...kept]) {
    // An upload on its way may never come: for it nothing goes.
    if ((await store.storedBytes()) <= retention.bytes) return;
    signal.throwIfAborted();
    if (await removeUnneeded(store, found)) onRemoved({ kind: found.kind, id: found.id, reason: 'bytes' });
  }
}

/** Null of what is not there: an entry that a crash has left. */
async function look(
  store: Store,
  retention: Retention,
  kind: Kind,
  { id, created_at }: StoredRecord,
): Promise<Found | null> {
  const record = await store.readRecord(kind, id);
  if (record?.created_at !== created_at) return null;
  return { kind, id, ...(await readKept(store, retention, kind, record)) };
}

/** Whether it is gone. What was found may have been long ago: pin and use are looked at again before, and once it is gone. */
async function removeUnneeded(store: Store, { kind, id, usedAt }: Found): Promise<boolean> {
  if ((await heldBy((name) => store.readJson(kind, id, name), usedAt)) !== null) return false;
  if (await isNeeded(store, kind, id)) return false;
  const record = kind === 'jobs' ? await store.readRecord<JobRecord>('jobs', id) : null;
  const isRead = kind === 'models' || kind === 'datasets';
  let held: Awaited<ReturnType<typeof heldBy>> = null;
  const isGone = await store.remove(kind, id, async (readGone) => {
    held = await heldBy(readGone, usedAt);
    // Whoever has come to need it since sees that it is gone, or is seen here; of jobs and searches nobody does.
    return held !== null || (isRead && (await isNeeded(store, kind, id)));
  });
  if (isGone === 'needed' && held === 'pin') await keepPin(store, kind, id);
  if (isGone === true && record) await store.removeUnfinished(id, resourcesOf(record));
  if (isGone === true && !isRead) await store.removeUntold(id);
  return isGone === true;
}

async function isNeeded(store: Store, kind: Kind, id: string): Promise<boolean> {
  if (kind === 'searches') return (await readSearchResult(store, id)) === null;
  if (kind !== 'jobs') return (await neededBy(store, id)) !== null;
  if ((await readResult(store, id)) === null) return true;
  const record = await store.readRecord<JobRecord>('jobs', id);
  return record?.search_id !== undefined && (await store.readRecord('searches', record.search_id)) !== null;
}
