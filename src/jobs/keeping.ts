import { EmpError } from '../core/errors.ts';
import type { Retention } from '../storage/retention-terms.ts';
import type { Kind, Store, StoredRecord } from '../storage/store.ts';
import { readResult } from './result.ts';
import { readSearchResult } from './search-records.ts';

/** What is known of how long a resource is kept. */
export interface Keeping {
  /** Whether somebody has said that it is kept until they say otherwise. */
  readonly pinned: boolean;
  /** When it goes, unless it is used or pinned before; null for never. */
  readonly expires_at: string | null;
}

interface KeepDocument {
  readonly pinned?: boolean;
  readonly used_at?: string;
}

const DOCUMENT = 'keep.json';
const DAY_MS = 24 * 3600 * 1000;
/** Whoever uses something often notes it this often. */
const NOTE_MS = 3600 * 1000;

/** Until when a resource is kept. */
export async function readKeeping(
  store: Store,
  { days }: Retention,
  kind: Kind,
  record: StoredRecord,
): Promise<Keeping> {
  const { pinned = false, used_at } = await readDocument(store, kind, record.id);
  const kept = days[kind];
  if (pinned || kept === null) return { pinned, expires_at: null };
  const end = await endOf(store, kind, record.id);
  // What goes on is not old.
  if (end === null) return { pinned, expires_at: null };
  const times = [record.created_at, used_at, end].filter((time) => time !== undefined);
  const latest = Math.max(...times.map((time) => Date.parse(time)));
  return { pinned, expires_at: new Date(latest + kept * DAY_MS).toISOString() };
}

/** When something was last used, or made; what it is sorted by where bytes are short. */
export async function lastUse(store: Store, kind: Kind, { id, created_at }: StoredRecord): Promise<string> {
  const { used_at = '' } = await readDocument(store, kind, id);
  return used_at > created_at ? used_at : created_at;
}

/** Says that a resource is kept, or that it is no more. */
export async function pin(store: Store, kind: Kind, id: string, pinned: boolean): Promise<void> {
  await writeDocument(store, kind, id, { ...(await readDocument(store, kind, id)), pinned });
}

/** Notes that a resource is used, from where its time is counted anew. */
export async function noteUse(store: Store, kind: Kind, id: string): Promise<void> {
  const known = await readDocument(store, kind, id);
  if (Date.now() - Date.parse(known.used_at ?? '1970-01-01') < NOTE_MS) return;
  await writeDocument(store, kind, id, { ...known, used_at: new Date().toISOString() });
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
  const noun = kind === 'models' ? 'model' : 'dataset';
  throw new EmpError('not_found', `${noun} ${id} was removed meanwhile: upload it again`);
}

/** Null of a job or search that goes on; undefined of what has no end. */
async function endOf(store: Store, kind: Kind, id: string): Promise<string | null | undefined> {
  if (kind === 'jobs') return (await readResult(store, id))?.finished_at ?? null;
  if (kind === 'searches') return (await readSearchResult(store, id))?.finished_at ?? null;
  return undefined;
}

async function readDocument(store: Store, kind: Kind, id: string): Promise<KeepDocument> {
  return (await store.readJson<KeepDocument>(kind, id, DOCUMENT)) ?? {};
}

async function writeDocument(store: Store, kind: Kind, id: string, document: KeepDocument): Promise<void> {
  await store.writeText(kind, id, DOCUMENT, JSON.stringify(document));
}
