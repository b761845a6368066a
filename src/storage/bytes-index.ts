import { readdir, rm, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isCode, sync } from './durable-files.ts';
import { touch } from './time-index.ts';

/**
 * What the files of a store take: empty files `<name>.<bytes>`, so that to ask costs a list of names. An entry is made after its resource and removed after it, so a crash leaves at most one
 * too few or too many.
 */
export class BytesIndex {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** On return the entry survives a crash, unless `isDurable` is false. Nothing is noted of nothing. */
  async add(name: string, bytes: number, isDurable = true): Promise<void> {
    if (bytes === 0) return;
    await touch(this.#path(name, bytes));
    if (isDurable) await sync(this.#directory);
  }

  /** Forgets a resource. @param bytes as its files say; where some have been lost, its entry says otherwise, and is looked for */
  async remove(name: string, bytes: number): Promise<void> {
    try {
      await unlink(this.#path(name, bytes));
    } catch (error) {
      if (!isCode(error, 'ENOENT')) throw error;
      const own = (await readdir(this.#directory)).filter((entry) => entry.startsWith(`${name}.`));
      for (const entry of own) await rm(join(this.#directory, entry), { force: true });
    }
  }

  async total(): Promise<number> {
    return (await readdir(this.#directory)).reduce((sum, name) => sum + bytesIn(name), 0);
  }

  #path(name: string, bytes: number): string {
    return join(this.#directory, `${name}.${bytes}`);
  }
}

/** What the name of an entry ends with; 0 of what is none of ours: systems leave files of theirs. */
export function bytesIn(entry: string): number {
  return Number(/\.(\d+)$/.exec(entry)?.[1] ?? 0);
}

/** What the files below a folder hold; 0 where there is none. */
export async function bytesBelow(directory: string): Promise<number> {
  try {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    const sizes = await Promise.all(
      files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size),
    );
    return sizes.reduce((sum, size) => sum + size, 0);
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR')) return 0;
    throw error;
  }
}
