import { link, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** The file system joins what is synced at the same time: 4,000 small files take a third of the time. More would keep others from the thread pool. */
const SYNCS_AT_ONCE = 8;

/** On return the file's content survives a crash; its name does once its folder is synced. */
export function writeDurably(path: string, text: string): Promise<void> {
  return writeFile(path, text, { flush: true });
}

/** Creates a file with its content at once, by way of a free path beside it (a reader never sees it empty); false when it exists. */
export async function createDurably(path: string, text: string, temporary: string): Promise<boolean> {
  try {
    await writeDurably(temporary, text);
    await link(temporary, path);
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
  await sync(dirname(path));
  return true;
}

/**
 * Replaces a file at once; on return that survives a crash.
 * @param temporary a free path on the same disk
 */
export async function replaceDurably(path: string, text: string, temporary: string): Promise<void> {
  try {
    await writeDurably(temporary, text);
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
  await sync(dirname(path));
}

/** Removes a file, by way of a free path, so that of several who do so one does; false where it is not there. */
export async function removeDurably(path: string, temporary: string): Promise<boolean> {
  if (!(await renameUnless(path, temporary, 'ENOENT'))) return false;
  await rm(temporary, { force: true });
  await sync(dirname(path));
  return true;
}

/** Makes a folder within one that is there; false where it is there already. */
export async function makeFolder(path: string, mode?: number): Promise<boolean> {
  try {
    await mkdir(path, { mode });
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Syncs a file, or the names in a folder. */
export async function sync(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}

/** Syncs a folder and all that is in it, some at a time; of files that are all empty, only the names. */
export async function syncTree(directory: string, areEmpty = false): Promise<void> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const wanted = entries.filter((entry) => !areEmpty || entry.isDirectory());
  const paths = [directory, ...wanted.map(({ parentPath, name }) => join(parentPath, name))].values();
  const syncOn = async () => {
    for (const path of paths) await sync(path);
  };
  await Promise.all(Array.from({ length: SYNCS_AT_ONCE }, syncOn));
}

/** The text of a file; null where there is none. */
export async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR')) return null;
    throw error;
  }
}

/** False where it fails with one of these codes. */
export async function renameUnless(from: string, to: string, ...codes: string[]): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (isCode(error, ...codes)) return false;
    throw error;
  }
}

export function isCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
