import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sync } from './durable-files.ts';
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
    await touch(join(this.#directory, id));
    await sync(this.#directory);
  }

  async remove(id: string): Promise<void> {
    await rm(join(this.#directory, id), { force: true });
  }

  /** Oldest first. */
  async list(): Promise<string[]> {
    return (await readdir(this.#directory)).filter(isId).sort();
  }
}
