import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';

/** What the service keeps, each in a folder of its own named by id and holding `record.json` and its files. */
export type Kind = 'models' | 'datasets' | 'jobs';

/** The least that every record says of itself. */
export interface StoredRecord {
  readonly id: string;
  readonly created_at: string;
}

export interface Page<T> {
  readonly data: T[];
  readonly next_cursor: string | null;
}

/** A folder being filled. It becomes visible whole by `Store.publish`, or not at all. */
export interface Upload {
  readonly directory: string;
  discard(): Promise<void>;
}

const RECORD = 'record.json';
/** Reading a record is one small file; more at once only crowds the thread pool. */
const CONCURRENT_READS = 16;

/**
 * Files under one data directory, shared by every process of the service. A folder is filled under `uploads/` and renamed into place, so a reader
 * sees a complete resource or none, and a crash leaves only folders that `sweep` knows to be nobody's.
 */
export class Store {
  readonly root: string;
  readonly #uploads: string;

  private constructor(root: string, uploads: string) {
    this.root = root;
    this.#uploads = uploads;
  }

  /** Opens the data directory, creating what is missing, and sweeps what crashed processes left. */
  static async open(root: string): Promise<Store> {
    const owner = `${hostname()}~${process.pid}~${randomBytes(4).toString('hex')}`;
    const store = new Store(root, join(root, 'uploads', owner));
    for (const kind of ['models', 'datasets', 'jobs', 'idempotency'])
      await mkdir(join(root, kind), { recursive: true });
    await mkdir(store.#uploads, { recursive: true });
    await store.sweep();
    return store;
  }

  /** A path inside a resource's folder. */
  path(kind: Kind, id: string, ...segments: string[]): string {
    return join(this.root, kind, id, ...segments);
  }

  async createUpload(): Promise<Upload> {
    const directory = await this.#scratchPath();
    await mkdir(join(directory, 'files'), { recursive: true });
    return { directory, discard: () => rm(directory, { recursive: true, force: true }) };
  }

  /**
   * Makes an upload the resource `record.id`. When that id exists already (the same content, or a retry), the upload is discarded and
   * the existing record returned. On return the resource survives a crash.
   */
  async publish<T extends StoredRecord>(
    kind: Kind,
    upload: Upload,
    record: T,
  ): Promise<{ record: T; created: boolean }> {
    await writeDurably(join(upload.directory, RECORD), JSON.stringify(record));
    await syncDirectory(upload.directory);
    try {
      await rename(upload.directory, this.path(kind, record.id));
    } catch (error) {
      if (!isCode(error, 'ENOTEMPTY', 'EEXIST')) throw error;
      await upload.discard();
      const existing = await this.readRecord<T>(kind, record.id);
      if (existing) return { record: existing, created: false };
      throw error;
    }
    await syncDirectory(join(this.root, kind));
    return { record, created: true };
  }

  readRecord<T extends StoredRecord>(kind: Kind, id: string): Promise<T | null> {
    return this.readJson<T>(kind, id, RECORD);
  }

  /** A JSON file of a resource; null when the resource or the file is not there. */
  async readJson<T>(kind: Kind, id: string, name: string): Promise<T | null> {
    if (!isId(id)) return null;
    try {
      return JSON.parse(await readFile(this.path(kind, id, name), 'utf8')) as T;
    } catch (error) {
      if (isCode(error, 'ENOENT', 'ENOTDIR')) return null;
      throw error;
    }
  }

  /** Replaces a JSON file of a resource at once and durably. */
  async writeJson(kind: Kind, id: string, name: string, value: unknown): Promise<void> {
    const temporary = await this.#scratchPath();
    try {
      await writeDurably(temporary, JSON.stringify(value));
      await rename(temporary, this.path(kind, id, name));
    } finally {
      await rm(temporary, { force: true });
    }
    await syncDirectory(this.path(kind, id));
  }

  /** Writes a JSON file of a resource durably unless it is there already: of several writers one wins. Returns whether this one did. */
  writeJsonOnce(kind: Kind, id: string, name: string, value: unknown): Promise<boolean> {
    return this.#createDurably(this.path(kind, id, name), JSON.stringify(value));
  }

  /** A free path of this process's own. Its folder is made anew where another host, hearing nothing for a day, took this process for dead. */
  async #scratchPath(): Promise<string> {
    await mkdir(this.#uploads, { recursive: true });
    return join(this.#uploads, randomBytes(8).toString('hex'));
  }

  /** Creates a file with its content at once (a reader never sees it empty); false when it exists. */
  async #createDurably(path: string, text: string): Promise<boolean> {
    const temporary = await this.#scratchPath();
    await writeDurably(temporary, text);
    try {
      await link(temporary, path);
    } catch (error) {
      if (isCode(error, 'EEXIST')) return false;
      throw error;
    } finally {
      await rm(temporary);
    }
    await syncDirectory(dirname(path));
    return true;
  }

  /** Records, newest first. `cursor` is the `next_cursor` of the page before. */
  async listRecords<T extends StoredRecord>(kind: Kind, limit: number, cursor?: string): Promise<Page<T>> {
    const ids = (await readdir(join(this.root, kind))).filter(isId);
    const records: T[] = [];
    for (let i = 0; i < ids.length; i += CONCURRENT_READS) {
      const batch = ids.slice(i, i + CONCURRENT_READS).map((id) => this.readRecord<T>(kind, id));
      for (const record of await Promise.all(batch)) if (record) records.push(record);
    }
    const key = (record: T) => `${record.created_at} ${record.id}`;
    records.sort((a, b) => (key(a) < key(b) ? 1 : -1));
    const after = cursor === undefined ? undefined : Buffer.from(cursor, 'base64url').toString();
    const rest = after === undefined ? records : records.filter((record) => key(record) < after);
    const data = rest.slice(0, limit);
    const last = data.at(-1);
    const next_cursor = last && rest.length > limit ? Buffer.from(key(last)).toString('base64url') : null;
    return { data, next_cursor };
  }

  /** Removes a resource; false when it was not there. It disappears at once, its bytes soon after. */
  async remove(kind: Kind, id: string): Promise<boolean> {
    if (!isId(id)) return false;
    const grave = await this.#scratchPath();
    try {
      await rename(this.path(kind, id), grave);
    } catch (error) {
      if (isCode(error, 'ENOENT')) return false;
      throw error;
    }
    await rm(grave, { recursive: true, force: true });
    return true;
  }

  /**
   * Binds an idempotency key to a job id, once and for all processes: the id returned is that of the first call with this key.
   * @param keyHash hexadecimal digest of the key
   */
  async bindIdempotencyKey(keyHash: string, jobId: string): Promise<string> {
    const path = join(this.root, 'idempotency', keyHash);
    return (await this.#createDurably(path, jobId)) ? jobId : await readFile(path, 'utf8');
  }

  /** Proves that the directory can be written. */
  async ping(): Promise<void> {
    const path = await this.#scratchPath();
    await writeDurably(path, '');
    await rm(path);
  }

  /** Removes the uploads of processes that are gone, and what a crash left half-written. */
  async sweep(): Promise<void> {
    for (const owner of await readdir(join(this.root, 'uploads'))) {
      const path = join(this.root, 'uploads', owner);
      if (path !== this.#uploads && !(await isAlive(owner, path)))
        await rm(path, { recursive: true, force: true });
    }
  }

  async close(): Promise<void> {
    await rm(this.#uploads, { recursive: true, force: true });
  }
}

/** Uploads of another host are given a day: its processes cannot be asked. */
const FOREIGN_UPLOAD_AGE_MS = 24 * 3600 * 1000;

async function isAlive(owner: string, path: string): Promise<boolean> {
  const [host, pid] = owner.split('~');
  if (host !== hostname()) return Date.now() - (await stat(path)).mtimeMs < FOREIGN_UPLOAD_AGE_MS;
  try {
    process.kill(Number(pid), 0);
    return Number(pid) !== process.pid;
  } catch (error) {
    return isCode(error, 'EPERM');
  }
}

/** Ids become folder names: nothing that a path could be made of. */
export function isId(id: string): boolean {
  return /^[a-z]{3}_[a-z0-9]{10,40}$/.test(id);
}

/** On return the file's content survives a crash; its name does once its folder is synced. */
export async function writeDurably(path: string, text: string): Promise<void> {
  await using handle = await open(path, 'w');
  await handle.writeFile(text);
  await handle.sync();
}

/** Whether a text could be the `next_cursor` of a page: the key of a record, encoded. */
export function isCursor(text: string): boolean {
  const [time = '', id = '', ...rest] = Buffer.from(text, 'base64url').toString().split(' ');
  return !Number.isNaN(Date.parse(time)) && isId(id) && rest.length === 0;
}

export async function syncDirectory(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}

function isCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
