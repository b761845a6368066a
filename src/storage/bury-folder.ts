import { join } from 'node:path';
import { readIfThere, renameUnless } from './durable-files.ts';
import type { IsNeeded } from './store.ts';

/**
 * Moves a resource's folder to a free path, to be removed from there; false where it is not there.
 * @param isNeeded asked once it is moved, with what is in it: where it is, the folder is put back and `needed` returned
 */
export async function buryFolder(
  path: string,
  grave: string,
  isNeeded: IsNeeded,
): Promise<boolean | 'needed'> {
  if (!(await renameUnless(path, grave, 'ENOENT'))) return false;
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
