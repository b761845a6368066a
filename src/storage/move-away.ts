import { renameUnless } from './durable-files.ts';

/**
 * Renames a folder to a free path.
 * @param isNeeded asked once it is away: where it is, or nobody knows, the folder is put back
 * @returns false where there is no folder
 */
export async function moveAway(
  path: string,
  away: string,
  isNeeded: () => Promise<boolean>,
): Promise<boolean | 'needed'> {
  if (!(await renameUnless(path, away, 'ENOENT'))) return false;
  // The same content may have been published meanwhile.
  const putBack = () => renameUnless(away, path, 'ENOTEMPTY', 'EEXIST');
  try {
    if (!(await isNeeded())) return true;
  } catch (error) {
    await putBack();
    throw error;
  }
  await putBack();
  return 'needed';
}
