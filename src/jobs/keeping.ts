import { EmpError } from '../core/errors.ts';
import { isCode } from '../storage/durable-files.ts';
import type { Retention } from '../storage/retention-terms.ts';
import type { Kind, ReadDocument, Store, StoredRecord } from '../storage/store.ts';
import { readResult } from './result.ts';
import { readSearchResult } from './search-records.ts';

/** What is known of how long a resource is kept. */
export interface Keeping {
  /** Whether somebody has said that it is kept until they say otherwise. */
  readonly pinned: boolean;
  /** When it goes, unless it is used or pinned before; null for never. */
  readonly expires_at: string | null;
}

/** Of what decides when it goes. */
export interface Kept extends Keeping {
  /** When it was last used, or made: what is removed first where bytes are short. */
  readonly usedAt: string;
}

/** A document each: who pins and who uses may do so at the same time. */
const [PIN, USE] = ['pin.json', 'use.json'];
const DAY_MS = 24 * 3600 * 1000;
/** Whoever uses something often notes it this often. */
const NOTE_MS = 3600 * 1000;

/** Until when a resource is kept. */
export async function readKeeping(...asked: Parameters<typeof readKept>): Promise<Keeping> {
  const { pinned, expires_at } = await readKept(...asked);
  return { pinned, expires_at };
}

/** The same, and when it was used. */
export async function readKept(
  store: Store,
  { days }: Retention,
  kind: Kind,
  { id, created_at }: StoredRecord,
): Promise<Kept> {
  const [pinned, used] = await readNotes((name) => store.readJson(kind, id, name));
  const usedAt = used !== null && used > created_at ? used : created_at;
  const kept = days[kind];
  const end = pinned || kept === null ? null : await endOf(store, kind, id);
  // What goes on is not old.
  if (kept === null || end === null) return { pinned, usedAt, expires_at: null };
  const latest = Math.max(Date.parse(usedAt), Date.parse(end ?? usedAt));
  return { pinned, usedAt, expires_at: new Date(latest + kept * DAY_MS).toISOString() };
}

/** What holds a resource that was last used at a time: a pin, or a use since. @param read of the resource, gone or not */
export async function heldBy(read: ReadDocument, usedAt: string): Promise<'pin' | 'use' | null> {
  const [pinned, used] = await readNotes(read);
  if (pinned) return 'pin';
  return used !== null && used > usedAt ? 'use' : null;
}

/** Pins what is there again, where the same content came first: its pin went with what it takes the place of. */
export async function keepPin(store: Store, kind: Kind, id: string): Promise<void> {
  if ((await store.readJson(kind, id, PIN)) === null) await pin(store, kind, id, true);
}

/** Says that a resource is kept, or that it is no more. @throws EmpError not_found for one that is being removed */
export async function pin(store: Store, kind: Kind, id: string, pinned: boolean): Promise<void> {
  await writeNote(store, kind, id, PIN, { pinned });
}

/** Notes that a resource is used, from where its time is counted anew. @throws EmpError not_found for one that is being removed */
export async function noteUse(store: Store, kind: Kind, id: string): Promise<void> {
  const [, known] = await readNotes((name) => store.readJson(kind, id, name));
  if (known !== null && Date.now() - Date.parse(known) < NOTE_MS) return;
  await writeNote(store, kind, id, USE, { used_at: new Date().toISOString() });
}

export function isExpired({ expires_at }: Keeping, now: number): boolean {
  return expires_at !== null && Date.parse(expires_at) <= now;
}

/**
 * Notes that a job or search, which is there and can be seen to need it, uses a model or dataset: what is there now stays until it has ended.
 * @throws EmpError not_found for one that has been removed meanwhile
 */
export async function useResource(store: Store, id: string): Promise<void> {
  const kind = id.startsWith('mdl_') ? 'models' : 'datasets';
  if (await store.readRecord(kind, id)) return await noteUse(store, kind, id);
  throw resourceGone(kind, id);
}

/** Null of a job or search that goes on; undefined of what has no end. */
async function endOf(store: Store, kind: Kind, id: string): Promise<string | null | undefined> {
  if (kind === 'jobs') return (await readResult(store, id))?.finished_at ?? null;
  if (kind === 'searches') return (await readSearchResult(store, id))?.finished_at ?? null;
  return undefined;
}

/** Whether it is pinned, and when it was last used. */
async function readNotes(read: ReadDocument): Promise<[boolean, string | null]> {
  const [pinned, used] = await Promise.all([
    read<{ readonly pinned: boolean }>(PIN),
    read<{ readonly used_at: string }>(USE),
  ]);
  return [pinned?.pinned ?? false, used?.used_at ?? null];
}

/** What is written before a resource disappears is seen by whoever removes it, and what is acknowledged is. */
async function writeNote(store: Store, kind: Kind, id: string, name: string, note: object): Promise<void> {
  for (;;) {
    try {
      return await store.writeText(kind, id, name, JSON.stringify(note));
    } catch (error) {
      if (!isCode(error, 'ENOENT')) throw error;
      // Otherwise it has been put back.
      if (!(await store.readRecord(kind, id))) throw resourceGone(kind, id);
    }
  }
}

function resourceGone(kind: Kind, id: string): EmpError {
  const mend = kind === 'models' || kind === 'datasets' ? ': upload it again' : '';
  const noun = kind === 'searches' ? 'search' : kind.slice(0, -1);
  return new EmpError('not_found', `${noun} ${id} was removed meanwhile${mend}`);
}
