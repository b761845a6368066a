// Over 250 lines: each method of the port is a few lines over the files of one folder.
import { randomBytes } from 'node:crypto';
import type { ReadStream } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { buryFolder } from './bury-folder.ts';
import { BytesIndex, bytesBelow } from './bytes-index.ts';
import { claimedIn } from './claimed-bytes.ts';
import {
  createDurably,
  makeFolder,
  readIfThere,
  removeDurably,
  renameUnless,
  replaceDurably,
  sync,
  syncTree,
} from './durable-files.ts';
import {
  answerPath,
  BYTES,
  FILES,
  FOLDERS,
  IDEMPOTENCY,
  INDEX,
  KINDS,
  NEEDED,
  RECORD,
  SECRETS,
  UNFINISHED,
  UNTOLD,
  UPLOADS,
} from './folder-layout.ts';
import { freeBytes, probeDisk } from './free-space.ts';
import { isId, parseCursor } from './ids.ts';
import { NeededIndex } from './needed-index.ts';
import { NotedIds } from './noted-ids.ts';
import { indexOlderData } from './older-data.ts';
import { openIfThere, streamFile } from './paced-reads.ts';
import { readPage } from './record-page.ts';
import type {
  Checkout,
  FileRange,
  IsNeeded,
  Kind,
  Page,
  Question,
  Store,
  StoredRecord,
  Upload,
} from './store.ts';
import { requireFolders, type StorePlace } from './store-place.ts';
import { rootOf, type Tenant } from './tenant.ts';
import { TimeIndex } from './time-index.ts';
import type { StoreLimits, StoreOptions } from './uploads.ts';
import { makeOwnFolder, openUpload, ownUploadsName, sweepUploads } from './uploads.ts';

/**
 * A store in one directory, local or shared by machines. A folder is filled under `uploads/` and renamed into place, so a reader sees a
 * complete resource or none, and a crash leaves only folders that `sweep` knows to be nobody's.
 */
export class FolderStore implements Store {
  readonly root: string;
  readonly #place: StorePlace;
  readonly #limits: StoreLimits;
  readonly #ownName: string;
  readonly #indexes: Readonly<Record<Kind, TimeIndex>>;
  readonly #needed: NeededIndex;
  readonly #unfinished: NotedIds;
  readonly #untold: NotedIds;
  readonly #bytes: BytesIndex;

  private constructor(dataDirectory: string, options: StoreOptions) {
    const { tenant = null, ownName = ownUploadsName(), ...limits } = options;
    const root = rootOf(dataDirectory, tenant);
    this.root = root;
    this.#place = { dataDirectory, tenant };
    this.#limits = limits;
    this.#ownName = ownName;
    this.#bytes = new BytesIndex(join(root, BYTES));
    const indexes = KINDS.map((kind) => [kind, new TimeIndex(join(root, INDEX, kind))]);
    this.#indexes = Object.fromEntries(indexes) as Record<Kind, TimeIndex>;
    this.#needed = new NeededIndex(join(root, NEEDED));
    this.#unfinished = new NotedIds(join(root, UNFINISHED));
    this.#untold = new NotedIds(join(root, UNTOLD));
  }

  /**
   * Opens the data directory, creating what is missing, and sweeps what crashed processes left. The folder of a tenant is to be there.
   */
  static async open(dataDirectory: string, options: StoreOptions = {}): Promise<FolderStore> {
    const store = new FolderStore(dataDirectory, options);
    const { root } = store;
    if (root === dataDirectory) await mkdir(join(root, UPLOADS), { recursive: true });
    for (const folder of [...KINDS, IDEMPOTENCY, UPLOADS, INDEX, UNTOLD])
      await makeFolder(join(root, folder));
    await makeFolder(join(root, SECRETS), 0o700);
    const scratch = await store.#scratchPath();
    await store.sweep();
    await indexOlderData(root, scratch);
    return store;
  }

  /** The store of a directory that another process has open, for its children: nothing is created, where it may have been moved away, and nothing swept. */
  static ofParent(dataDirectory: string, tenant: Tenant): FolderStore {
    return new FolderStore(dataDirectory, { tenant });
  }

  async createUpload(): Promise<Upload> {
    return await openUpload(await this.#scratchPath(), this.#limits, () => this.usedBytes());
  }

  async publish<T extends StoredRecord>(
    kind: Kind,
    upload: Upload,
    record: T,
  ): Promise<{ record: T; created: boolean }> {
    const index = this.#indexes[kind];
    const bytes = await bytesBelow(upload.files);
    await rename(upload.files, join(upload.directory, FILES[kind]));
    await upload.writeJson(RECORD, record);
    await syncTree(upload.directory);
    await index.add(record);
    try {
      while (!(await renameUnless(upload.directory, this.#path(kind, record.id), 'ENOTEMPTY', 'EEXIST'))) {
        const existing = await this.readRecord<T>(kind, record.id);
        // Without one, it was removed a moment ago: the place is free.
        if (!existing) continue;
        if (existing.created_at !== record.created_at) await index.remove(record);
        await upload.discard();
        return { record: existing, created: false };
      }
    } catch (error) {
      await index.remove(record);
      throw error;
    }
    await sync(join(this.root, kind));
    await this.#bytes.add(record.id, bytes);
    return { record, created: true };
  }

  async publishFiles(kind: Kind, id: string, upload: Upload): Promise<boolean> {
    const files = this.#path(kind, id, FILES[kind]);
    await syncTree(upload.files);
    // Only an empty folder can be renamed over.
    const isFirst = await renameUnless(upload.files, files, 'ENOTEMPTY', 'EEXIST');
    if (isFirst) {
      await sync(this.#path(kind, id));
      await this.#bytes.add(id, await bytesBelow(files));
    }
    await upload.discard();
    return isFirst;
  }

  remove(kind: Kind, id: string): Promise<boolean>;
  remove(kind: Kind, id: string, isNeeded: IsNeeded): Promise<boolean | 'needed'>;
  async remove(kind: Kind, id: string, isNeeded?: IsNeeded): Promise<boolean | 'needed'> {
    if (!isId(id)) return false;
    const grave = await this.#scratchPath();
    const record = await this.readRecord(kind, id);
    const isGone = await buryFolder(this.#path(kind, id), grave, isNeeded ?? (async () => false));
    if (isGone !== true) return isGone;
    await sync(join(this.root, kind));
    if (record) await this.#indexes[kind].remove(record);
    const bytes = await bytesBelow(join(grave, FILES[kind]));
    // Of a job or search without files nothing was noted.
    if (bytes > 0 || kind === 'models' || kind === 'datasets') await this.#bytes.remove(id, bytes);
    await rm(grave, { recursive: true, force: true });
    return true;
  }

  readRecord<T extends StoredRecord>(kind: Kind, id: string): Promise<T | null> {
    return this.readJson<T>(kind, id, RECORD);
  }

  async listRecords<T extends StoredRecord>(kind: Kind, limit: number, cursor = ''): Promise<Page<T>> {
    const entries = this.#indexes[kind].newestFirst(parseCursor(cursor) ?? undefined);
    const page = await readPage<T>(entries, (id) => this.readText(kind, id, RECORD), limit);
    if (page.data.length === 0) await requireFolders(this.#place, [UPLOADS, join(INDEX, kind)]);
    return page;
  }

  listEntries(kind: Kind, cursor = ''): AsyncIterable<StoredRecord> {
    return this.#indexes[kind].newestFirst(parseCursor(cursor) ?? undefined);
  }

  async readJson<T>(kind: Kind, id: string, name: string): Promise<T | null> {
    const text = await this.readText(kind, id, name);
    return text === null ? null : JSON.parse(text);
  }

  async readText(kind: Kind, id: string, name: string): Promise<string | null> {
    return isId(id) ? this.#orMissing(await readIfThere(this.#path(kind, id, name))) : null;
  }

  async openDocument(kind: Kind, id: string, name: string): Promise<ReadStream | null> {
    return isId(id) ? this.#orMissing(await openIfThere(this.#path(kind, id, name))) : null;
  }

  async writeText(kind: Kind, id: string, name: string, text: string): Promise<void> {
    await replaceDurably(this.#path(kind, id, name), text, await this.#scratchPath());
  }

  async decideOnce(question: Question, answer: string): Promise<string> {
    const path = join(this.root, answerPath(question));
    const isFirst = await createDurably(path, answer, await this.#scratchPath());
    return isFirst ? answer : await readFile(path, 'utf8');
  }

  readAnswer(question: Question): Promise<string | null> {
    return readIfThere(join(this.root, answerPath(question)));
  }

  async withdrawAnswer(question: Question): Promise<boolean> {
    return await removeDurably(join(this.root, answerPath(question)), await this.#scratchPath());
  }

  readFile(kind: Kind, id: string, name: string, range?: FileRange): ReadStream {
    return streamFile(this.#path(kind, id, FILES[kind], name), range);
  }

  async checkOut(kind: Kind, id: string): Promise<Checkout> {
    return { directory: this.#path(kind, id, FILES[kind]), [Symbol.asyncDispose]: async () => {} };
  }

  async addUnfinished(id: string, needs: readonly string[] = []): Promise<void> {
    await Promise.all([this.#unfinished.add(id), this.#needed.add(id, needs)]);
  }

  async removeUnfinished(id: string, needs?: readonly string[]): Promise<void> {
    // In this order: what is noted as unfinished is looked after, with all that is noted of it.
    await this.#needed.remove(id, needs ?? (await this.#needed.needsOf(id)));
    await this.#unfinished.remove(id);
  }

  unfinishedSince(id: string): Promise<number | null> {
    return this.#unfinished.since(id);
  }

  listUnfinished(): Promise<string[]> {
    return this.#unfinished.list();
  }

  addUntold(id: string): Promise<void> {
    return this.#untold.add(id);
  }

  removeUntold(id: string): Promise<void> {
    return this.#untold.remove(id);
  }

  listUntold(): Promise<string[]> {
    return this.#untold.list();
  }

  storedBytes(): Promise<number> {
    return this.#bytes.total();
  }

  async usedBytes(): Promise<number> {
    const [stored, claimed] = await Promise.all([this.storedBytes(), claimedIn(join(this.root, UPLOADS))]);
    return stored + claimed;
  }

  freeBytes(): Promise<number> {
    return freeBytes(this.root);
  }

  listNeeding(resourceId: string): AsyncIterable<string> {
    return this.#needed.jobsOf(resourceId);
  }

  async ping(): Promise<void> {
    await probeDisk(await this.#scratchPath());
    await requireFolders(this.#place, FOLDERS);
  }

  sweep(): Promise<void> {
    return sweepUploads(join(this.root, UPLOADS), this.#ownName);
  }

  async close(): Promise<void> {
    // An upload that was given up a moment ago may still be at its last file.
    await rm(join(this.root, UPLOADS, this.#ownName), { recursive: true, force: true, maxRetries: 3 });
  }

  #path(kind: Kind, id: string, ...segments: string[]): string {
    return join(this.root, kind, id, ...segments);
  }

  /** A free path of this process's own. */
  async #scratchPath(): Promise<string> {
    return join(await makeOwnFolder(this.#place, this.#ownName), randomBytes(8).toString('hex'));
  }

  /** What was looked for. Nothing is there of a directory that has been moved away, and that says nothing of the resource. @throws EmpError as `requireFolders` */
  async #orMissing<T>(found: T | null): Promise<T | null> {
    if (found === null) await requireFolders(this.#place, [UPLOADS]);
    return found;
  }
}
