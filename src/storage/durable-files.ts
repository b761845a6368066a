import { link, open, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** On return the file's content survives a crash; its name does once its folder is synced. */
export function writeDurably(path: string, text: string): Promise<void> {
  return writeFile(path, text, { flush: true });
}

/** Creates a file with its content at once, by way of a free path beside it (a reader never sees it empty); false when it exists. */
export async function createDurably(path: string, text: string, temporary: string): Promise<boolean> {
  await writeDurably(temporary, text);
  try {
    await link(temporary, path);
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  } finally {
    await rm(temporary);
  }
  await sync(dirname(path));
  return true;
}

/** Syncs a file, or the names in a folder. */
export async function sync(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}

/** Syncs a folder and all that is in it; of files that are all empty, only the names. */
export async function syncTree(directory: string, areEmpty = false): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await syncTree(path, areEmpty);
    else if (!areEmpty) await sync(path);
  }
  await sync(directory);
}

export function isCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
