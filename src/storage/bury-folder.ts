import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { isCode, readIfThere, renameUnless } from './durable-files.ts';
import type { ReadDocument } from './store.ts';

/**
 * Moves a resource's folder to a free path, to be removed from there; false where it is not there.
 * @param isNeeded asked once it is moved, with what is in it: where it is, the folder is put back and `needed` returned
 */
export async function buryFolder(
  path: string,
  grave: string,
  isNeeded: (readGone: ReadDocument) => Promise<boolean>,
): Promise<boolean | 'needed'> {
  try {
    await rename(path, grave);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return false;
    throw error;
  }
  let isGone = false;
  try {
    isGone = !(await isNeeded((name) => readDocument(join(grave, name))));
  } finally {
    // The same content may have been published meanwhile.
    if (!isGone) await renameUnless(grave, path, 'ENOTEMPTY', 'EEXIST');
  }
  return isGone || 'needed';
}

/** The content of a file as JSON; null where there is none. */
async function readDocument<T>(path: string): Promise<T | null> {
  const text = await readIfThere(path);
  return text === null ? null : JSON.parse(text);
}
