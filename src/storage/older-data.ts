import { existsSync } from 'node:fs';
import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BytesIndex, bytesBelow } from './bytes-index.ts';
import { isCode, makeFolder, sync, syncTree } from './durable-files.ts';
import { BYTES, FILES, INDEX, KINDS, NEEDED, RECORD, UNFINISHED } from './folder-layout.ts';
import { isId } from './ids.ts';
import { NeededIndex } from './needed-index.ts';
import type { Kind } from './store.ts';
import { TimeIndex, touch } from './time-index.ts';

/** What a job, or a search, that has ended has in its folder. */
const RESULT = 'result.json';
/** What is unfinished until it has a result. */
const ENDING: readonly Kind[] = ['jobs', 'searches'];
/** Resources looked at in one go. */
const AT_ONCE = 16;

/**
 * Gives a data directory what it lacks of its index: all of it where an earlier version read every record instead, or a folder that a copy left out because
 * it was empty. Each folder is put in its place whole, and of several processes one does.
 * @param scratch a free path on the same disk
 */
export async function indexOlderData(root: string, scratch: string): Promise<void> {
  const isThere = (folder: string) => existsSync(join(root, folder));
  for (const kind of KINDS) {
    if (isThere(join(INDEX, kind)) && (kind !== 'jobs' || isThere(UNFINISHED))) continue;
    // Those of jobs are in their place by then.
    const unfinished = kind === 'searches' ? join(root, UNFINISHED) : join(scratch, basename(UNFINISHED));
    for (const folder of [scratch, join(scratch, kind), unfinished]) await makeFolder(folder);
    await indexKind(root, kind, new TimeIndex(join(scratch, kind)), unfinished);
    await syncTree(scratch, true);
    if (kind === 'jobs') await putInPlace(unfinished, join(root, UNFINISHED));
    await putInPlace(join(scratch, kind), join(root, INDEX, kind));
    await rm(scratch, { recursive: true });
  }
  if (!isThere(NEEDED)) await indexNeeded(root, scratch);
  if (!isThere(BYTES)) await indexBytes(root, scratch);
}

/** What unfinished jobs read: whatever their records name by an id. */
async function indexNeeded(root: string, scratch: string): Promise<void> {
  await makeFolder(scratch);
  const index = new NeededIndex(scratch);
  const look = async (id: string) => {
    const kind = id.startsWith('sea_') ? 'searches' : 'jobs';
    const record = (await readRecord(join(root, kind, id))) ?? {};
    const named = Object.values(record).filter((value) => typeof value === 'string' && isId(value));
    await index.add(
      id,
      (named as string[]).filter((other) => other !== id),
      false,
    );
  };
  const ids = (await readdir(join(root, UNFINISHED))).filter(isId);
  for (let i = 0; i < ids.length; i += AT_ONCE) await Promise.all(ids.slice(i, i + AT_ONCE).map(look));
  await syncTree(scratch, true);
  await putInPlace(scratch, join(root, NEEDED));
  await rm(scratch, { recursive: true, force: true });
}

/** What the files of each resource take. */
async function indexBytes(root: string, scratch: string): Promise<void> {
  await makeFolder(scratch);
  const index = new BytesIndex(scratch);
  for (const kind of KINDS) {
    const ids = (await readdir(join(root, kind))).filter(isId);
    const look = async (id: string) =>
      index.add(id, await bytesBelow(join(root, kind, id, FILES[kind])), false);
    for (let i = 0; i < ids.length; i += AT_ONCE) await Promise.all(ids.slice(i, i + AT_ONCE).map(look));
  }
  await syncTree(scratch, true);
  await putInPlace(scratch, join(root, BYTES));
  await rm(scratch, { recursive: true, force: true });
}

/** Null where it cannot be read: of something half gone, or damaged. The others are indexed all the same. */
async function readRecord(folder: string): Promise<Record<string, unknown> | null> {
  try {
    return JSON.parse(await readFile(join(folder, RECORD), 'utf8'));
  } catch {
    return null;
  }
}

async function indexKind(root: string, kind: Kind, index: TimeIndex, unfinished: string): Promise<void> {
  const ids = (await readdir(join(root, kind))).filter(isId);
  const look = async (id: string) => {
    const folder = join(root, kind, id);
    const created_at = (await readRecord(folder))?.created_at;
    if (typeof created_at !== 'string') return;
    await index.add({ id, created_at }, false);
    if (!ENDING.includes(kind)) return;
    if (!(await tidyJob(folder))) await touch(join(unfinished, id));
  };
  for (let i = 0; i < ids.length; i += AT_ONCE) await Promise.all(ids.slice(i, i + AT_ONCE).map(look));
}

/** Unless another process has been there. */
async function putInPlace(folder: string, place: string): Promise<void> {
  try {
    await rename(folder, place);
    await sync(dirname(place));
  } catch (error) {
    if (!isCode(error, 'ENOTEMPTY', 'EEXIST')) throw error;
  }
}

/** Removes what attempts left in a job's folder when they were made there. Returns whether the job has ended. */
async function tidyJob(folder: string): Promise<boolean> {
  const names = await readdir(folder);
  for (const name of names)
    if (name.startsWith('attempt-')) await rm(join(folder, name), { recursive: true, force: true });
  return names.includes(RESULT);
}
