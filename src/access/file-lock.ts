import { open, rm, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { SettingsFileError } from './settings-file.ts';

const LOOK_MS = 20;
/** A change takes milliseconds: what is older was left by a process that was killed. */
const STALE_MS = 10_000;
const PATIENCE_MS = 30_000;

/**
 * Does what nobody else may do to a file meanwhile, in this process or another. A file beside it, `.lock`, says that somebody does.
 * @throws SettingsFileError where that stays; errors with a `code` where it cannot be made
 */
export async function withFileLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const lock = `${path}.lock`;
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await take(lock))) {
    if (performance.now() > deadline)
      throw new SettingsFileError(`${path} is being changed, says ${lock}: remove that if nobody does`);
    await removeStale(lock);
    await sleep(LOOK_MS);
  }
  try {
    return await work();
  } finally {
    await rm(lock, { force: true });
  }
}

async function take(lock: string): Promise<boolean> {
  try {
    await (await open(lock, 'wx')).close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** One at a time: of two who saw the same old lock, the second would remove the new one of the first. */
async function removeStale(lock: string): Promise<void> {
  const turn = `${lock}.stale`;
  if (!(await isStale(lock)) || !(await take(turn))) return;
  try {
    if (await isStale(lock)) await rm(lock, { force: true });
  } finally {
    await rm(turn, { force: true });
  }
}

async function isStale(lock: string): Promise<boolean> {
  const made = await stat(lock).catch(() => null);
  return made !== null && Date.now() - made.mtimeMs > STALE_MS;
}
