import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { extractArchive } from '../formats/archive.ts';
import type { ModelInventory } from '../formats/model.ts';
import { byName, type ModelRecord, type StoredFile } from '../storage/records.ts';
import type { Upload } from '../storage/store.ts';
import { describeFiles, MAX_FILES } from './received-files.ts';

const ARCHIVE = /\.(tar|zip)$/i;

export interface PreparedModel {
  readonly record: ModelRecord;
  readonly inventory: ModelInventory;
}

/**
 * Turns the files received under `upload.files` into a model ready to be published: unpacks an archive, reads the inventory and adds it
 * as a document.
 * @param read what files of a folder hold
 * @throws EmpError for files that are no model
 */
export async function prepareModel(
  upload: Upload,
  received: readonly StoredFile[],
  maxBytes: number,
  read: (directory: string, names: readonly string[]) => Promise<ModelInventory>,
): Promise<PreparedModel> {
  const folder = upload.files;
  const [only] = received;
  const packed = only && received.length === 1 && ARCHIVE.test(only.name);
  const files = (packed ? await unpack(folder, only.name, maxBytes) : [...received]).sort(byName);
  const inventory = await read(
    folder,
    files.map(({ name }) => name),
  );
  await upload.writeJson('inventory.json', inventory);
  const described = describeFiles('mdl', '', files);
  const record: ModelRecord = {
    ...described,
    format: inventory.format,
    name: inventory.files[0] ?? '',
    sha256: files.length === 1 ? files[0].sha256 : described.sha256,
    n_parameters: inventory.nParameters,
    files,
  };
  return { record, inventory };
}

async function unpack(folder: string, archive: string, maxBytes: number): Promise<StoredFile[]> {
  const packed = join(dirname(folder), 'archive');
  await rename(join(folder, archive), packed);
  const kind = archive.toLowerCase().endsWith('.tar') ? 'tar' : 'zip';
  await extractArchive(packed, kind, folder, { maxBytes, maxFiles: MAX_FILES });
  await rm(packed);
  await liftOnlyFolder(folder);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const stored: StoredFile[] = [];
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    stored.push({ name: relative(folder, path).split(sep).join('/'), ...(await hashFile(path)) });
  }
  return stored;
}

/** An archive made of a folder, `tar -cf model.tar model/`, holds the files of that folder. */
async function liftOnlyFolder(folder: string): Promise<void> {
  const [only, ...others] = await readdir(folder, { withFileTypes: true });
  if (!only?.isDirectory() || others.length > 0) return;
  const aside = join(dirname(folder), 'lifted');
  await rename(join(folder, only.name), aside);
  await rmdir(folder);
  await rename(aside, folder);
  await liftOnlyFolder(folder);
}

async function hashFile(path: string): Promise<Omit<StoredFile, 'name'>> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { size_bytes: size, sha256: hash.digest('hex') };
}
