import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { isCode, sync } from './durable-files.ts';
import { isId } from './ids.ts';
import { touch } from './time-index.ts';

/** Ids that something is to be done about: an empty file each, so that to list them costs the same whatever else there is. */
export class NotedIds {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** On return the note survives a crash. */
  async add(id: string): Promise<void> {
    const path = join(this.#directory, id);
    await touch(path);
    // Also of a note that was there: it is young again, unless it has just been removed.
    await utimes(path, new Date(), new Date()).catch(() => touch(path));
    await sync(this.#directory);
  }

  async remove(id: string): Promise<void> {
    await rm(join(this.#directory, id), { force: true });
  }

  /** When it was last noted; null where it is not. */
  async since(id: string): Promise<number | null> {
    try {
      return (await stat(join(this.#directory, id))).mtimeMs;
    } catch (error) {
      if (isCode(error, 'ENOENT')) return null;
      throw error;
    }
  }

  /** Oldest first. */
  async list(): Promise<string[]> {
    return (await readdir(this.#directory)).filter(isId).sort();
  }
}
