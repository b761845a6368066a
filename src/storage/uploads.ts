import { randomBytes } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { ClaimedBytes } from './claimed-bytes.ts';
import { isCode, makeFolder, writeDurably } from './durable-files.ts';
import { UPLOADS } from './folder-layout.ts';
import { roomChecker } from './free-space.ts';
import type { Upload } from './store.ts';
import { requireFolders, type StorePlace } from './store-place.ts';
import { rootOf, type Tenant } from './tenant.ts';

/** Uploads of another host are given a day: its processes cannot be asked. */
const FOREIGN_UPLOAD_AGE_MS = 24 * 3600 * 1000;

/** A name for the folder of this process's uploads, that tells other processes whose it is. */
export function ownUploadsName(): string {
  return `${hostname()}~${process.pid}~${randomBytes(4).toString('hex')}`;
}

/**
 * Makes the folder of this process's uploads, anew where another host, hearing nothing for a day, took it for dead. The data directory
 * is not made anew: it may have been moved away.
 * @throws EmpError as `requireFolders`
 */
export async function makeOwnFolder(place: StorePlace, ownName: string): Promise<string> {
  const own = join(rootOf(place.dataDirectory, place.tenant), UPLOADS, ownName);
  try {
    await makeFolder(own);
  } catch (error) {
    if (isCode(error, 'ENOENT')) await requireFolders(place, [UPLOADS]);
    throw error;
  }
  return own;
}

/** What a store leaves, and may take. */
export interface StoreLimits {
  /** Of the disk, which uploads leave to the results of jobs (MIN_FREE_BYTES). */
  readonly minFreeBytes?: number;
  /** Of all files together, as it is now; null for any amount. */
  readonly maxBytes?: () => number | null;
}

/** What a store is opened with. */
export interface StoreOptions extends StoreLimits {
  readonly tenant?: Tenant;
  /** As `ownUploadsName`: stores of one process that follow each other in one place are to have the same. */
  readonly ownName?: string;
}

/** An upload in a folder of its own, of this process's folder. @param used what all files together take, claims included */
export async function openUpload(
  directory: string,
  { minFreeBytes = 0, maxBytes }: StoreLimits,
  used: () => Promise<number>,
): Promise<Upload> {
  const files = join(directory, 'files');
  await makeFolder(directory);
  await makeFolder(files);
  const ensureDiskRoom = roomChecker(directory, minFreeBytes);
  const limit = maxBytes?.() ?? null;
  const claim = new ClaimedBytes({ directory: dirname(directory), limit, used });
  return {
    directory,
    files,
    async announce(byteLength) {
      await claim.announce(byteLength);
      await ensureDiskRoom(byteLength);
    },
    async ensureRoom(byteLength) {
      await claim.write(byteLength);
      await ensureDiskRoom(byteLength);
    },
    writeJson: (name, value) => writeDurably(join(directory, name), JSON.stringify(value)),
    async discard() {
      await rm(directory, { recursive: true, force: true });
      await claim.release();
    },
  };
}

/** Removes the uploads of processes that are gone. */
export async function sweepUploads(directory: string, ownName: string): Promise<void> {
  for (const owner of await readdir(directory)) {
    const path = join(directory, owner);
    if (owner !== ownName && !(await isAlive(owner, path))) await rm(path, { recursive: true, force: true });
  }
}

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
