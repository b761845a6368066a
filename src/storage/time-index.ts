import { open, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isCode, makeFolder, sync } from './durable-files.ts';
import type { StoredRecord } from './store.ts';

/**
 * The ids of one kind in order of time: empty files `<month>/<day>T<hour>/<created_at>~<id>`, so that a page reads the names of the hours
 * it shows, whatever else there is. An entry is made before its resource and removed after it, so a crash leaves at most an entry of
 * nothing, or one of another time than the record's. Whoever reads passes over both.
 */
export class TimeIndex {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** On return the entry survives a crash, unless `isDurable` is false. */
  async add(record: StoredRecord, isDurable = true): Promise<void> {
    const path = this.#path(record);
    const hour = dirname(path);
    const isNewMonth = await makeFolder(dirname(hour));
    const isNewHour = await makeFolder(hour);
    await touch(path);
    if (!isDurable) return;
    await sync(hour);
    if (isNewHour) await sync(dirname(hour));
    if (isNewMonth) await sync(this.#directory);
  }

  async remove(record: StoredRecord): Promise<void> {
    await rm(this.#path(record), { force: true });
  }

  /** Entries from the newest on, or from the newest that is older than `before`. */
  async *newestFirst(before?: StoredRecord): AsyncGenerator<StoredRecord, void> {
    const [lastMonth, lastHour, last] = before ? partsOf(before) : [];
    for (const month of await namesUpTo(this.#directory, MONTH, lastMonth)) {
      const hours = join(this.#directory, month);
      for (const hour of await namesUpTo(hours, HOUR, month === lastMonth ? lastHour : undefined)) {
        for (const name of await namesUpTo(join(hours, hour), ENTRY, last)) {
          const [created_at = '', id = ''] = name.split('~');
          if (name !== last) yield { created_at, id };
        }
      }
    }
  }

  #path(record: StoredRecord): string {
    return join(this.#directory, ...partsOf(record));
  }
}

/** Creates an empty file where there is none. */
export async function touch(path: string): Promise<void> {
  await (await open(path, 'a')).close();
}

/** ISO 8601 in, `2026-01`, `31T23` and the whole out. */
function partsOf({ created_at, id }: StoredRecord): [string, string, string] {
  return [created_at.slice(0, 7), created_at.slice(8, 13), `${created_at}~${id}`];
}

const MONTH = /^\d{4}-\d\d$/;
const HOUR = /^\d\dT\d\d$/;
const ENTRY = /^[^~]+~[^~]+$/;

/** The names in a folder from the last, or from `highest`, down, but for what is none of ours: systems leave files of theirs. */
async function namesUpTo(directory: string, ours: RegExp, highest: string | undefined): Promise<string[]> {
  try {
    const names = await readdir(directory);
    return names
      .filter((name) => ours.test(name) && (highest === undefined || name <= highest))
      .sort()
      .reverse();
  } catch (error) {
    if (isCode(error, 'ENOENT')) return [];
    throw error;
  }
}
