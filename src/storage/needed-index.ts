import { access, opendir, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isCode, makeFolder, sync } from './durable-files.ts';
import { isId } from './ids.ts';
import { touch } from './time-index.ts';

/**
 * Which unfinished jobs need a resource: empty files `<resource>/<job>`, so that to ask costs the same however many jobs wait. An entry is
 * made before its job and removed after the job's end, so a crash leaves at most one that nothing stands behind.
 */
export class NeededIndex {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** On return the entries survive a crash, unless `isDurable` is false. */
  async add(jobId: string, resources: readonly string[], isDurable = true): Promise<void> {
    await Promise.all(resources.map((resource) => this.#addOne(jobId, resource, isDurable)));
    if (isDurable && resources.length > 0) await sync(this.#directory);
  }

  async remove(jobId: string, resources: readonly string[]): Promise<void> {
    for (const resource of resources) {
      const folder = join(this.#directory, resource);
      await rm(join(folder, jobId), { force: true });
      // Unless another job needs it too, or did a moment ago.
      await rmdir(folder).catch(() => {});
    }
  }

  /** What a job was noted to need. Costs the names of all that any job needs. */
  async needsOf(jobId: string): Promise<string[]> {
    const needs: string[] = [];
    for (const resource of await readdir(this.#directory))
      if (await isThere(join(this.#directory, resource, jobId))) needs.push(resource);
    return needs;
  }

  async *jobsOf(resource: string): AsyncGenerator<string, void> {
    if (!isId(resource)) return;
    try {
      for await (const { name } of await opendir(join(this.#directory, resource))) if (isId(name)) yield name;
    } catch (error) {
      if (!isCode(error, 'ENOENT')) throw error;
    }
  }

  async #addOne(jobId: string, resource: string, isDurable: boolean): Promise<void> {
    const folder = join(this.#directory, resource);
    for (;;) {
      await makeFolder(folder);
      try {
        await touch(join(folder, jobId));
        if (isDurable) await sync(folder);
        return;
      } catch (error) {
        // The last job before this one ended in between, and took the folder along.
        if (!isCode(error, 'ENOENT')) throw error;
      }
    }
  }
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
