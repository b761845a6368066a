import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isCode, sync, syncTree } from './durable-files.ts';
import { INDEX, KINDS, RECORD, UNFINISHED } from './folder-layout.ts';
import { isId } from './ids.ts';
import { TimeIndex, touch } from './time-index.ts';

/** What a job that has ended has in its folder. */
const RESULT = 'result.json';
/** Resources looked at in one go. */
const AT_ONCE = 16;

/**
 * Gives a data directory its index: an empty one, or one of an earlier version that read every record instead. Once: it is put in its
 * place whole, and of several processes one does.
 * @param scratch a free path on the same disk
 */
export async function indexOlderData(root: string, scratch: string): Promise<void> {
  if (existsSync(join(root, INDEX))) return;
  const unfinished = join(scratch, basename(UNFINISHED));
  await mkdir(unfinished, { recursive: true });
  for (const kind of KINDS) {
    const index = new TimeIndex(join(scratch, kind));
    const ids = (await readdir(join(root, kind))).filter(isId);
    for (let i = 0; i < ids.length; i += AT_ONCE) {
      const look = async (id: string) => {
        const folder = join(root, kind, id);
        const record = await readFile(join(folder, RECORD), 'utf8').catch(() => null);
        if (record === null) return;
        await index.add(JSON.parse(record), false);
        if (kind === 'jobs' && !(await tidyJob(folder))) await touch(join(unfinished, id));
      };
      await Promise.all(ids.slice(i, i + AT_ONCE).map(look));
    }
  }
  await syncTree(scratch, true);
  try {
    await rename(scratch, join(root, INDEX));
    await sync(root);
  } catch (error) {
    if (!isCode(error, 'ENOTEMPTY', 'EEXIST')) throw error;
    await rm(scratch, { recursive: true });
  }
}

/** Removes what attempts left in a job's folder when they were made there. Returns whether the job has ended. */
async function tidyJob(folder: string): Promise<boolean> {
  const names = await readdir(folder);
  for (const name of names)
    if (name.startsWith('attempt-')) await rm(join(folder, name), { recursive: true, force: true });
  return names.includes(RESULT);
}
