import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { BackendError } from './backend-error.ts';

/**
 * Makes this process the directory's only user, until `release` or the process's end, however it ends. SQLite's own file lock is used:
 * the operating system drops it with the process, so there is no stale lock to recognise and no process id to be mistaken for another's.
 * @throws Error naming the process that has it
 */
export async function lockDirectory(directory: string, advice: string): Promise<{ release(): void }> {
  await mkdir(directory, { recursive: true });
  const database = new DatabaseSync(join(directory, 'lock'), { timeout: 0 });
  const ownerFile = join(directory, 'owner');
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (!(error instanceof Error && /locked/.test(error.message))) throw error;
    const owner = await readFile(ownerFile, 'utf8').catch(() => 'another process');
    throw new BackendError(`${directory} is in use by ${owner}. ${advice}`);
  }
  await writeFile(ownerFile, `process ${process.pid} on ${hostname()}`);
  return { release: () => database.close() };
}
