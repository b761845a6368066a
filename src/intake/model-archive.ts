import { mkdir, open, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Archive, type ArchiveFile, openArchive } from '../formats/archive.ts';
import { LENGTH_BYTES, MAX_HEADER_BYTES } from '../formats/safetensors/header.ts';
import type { StoredFile } from '../storage/records.ts';
import type { Upload } from '../storage/store.ts';
import type { ModelOutline } from './analysis-tasks.ts';
import { MAX_FILES } from './received-files.ts';
import { storeFile } from './store-file.ts';

/** Of what says how to use a model, beside it: tokenizers take up to 35 MB. */
const MAX_COMPANION_BYTES = 64 * 2 ** 20;

/** Below it, a header is not worth stopping at. */
const SMALL_BYTES = 1024 * 1024;

/** An archive of a model, unpacked as far as the model names its files. */
export interface ModelArchive extends AsyncDisposable {
  /** All that lie in it. */
  readonly names: readonly string[];
  /**
   * Puts into `upload.files` what readers of models look at: graphs and indexes whole, of safetensors the headers, and of other files the names and
   * sizes, which cost the disk nothing. So a model is refused before its gigabytes are unpacked.
   */
  outline(): Promise<void>;
  /** Fills what belongs to the model and removes the rest. Small files beside safetensors stay: a configuration, a tokenizer. */
  unpack(model: ModelOutline): Promise<StoredFile[]>;
}

/**
 * Opens an archive that was received under `upload.files`; disposing of it removes the archive.
 * @throws EmpError malformed_archive, payload_too_large, insufficient_storage
 */
export async function openModelArchive(
  upload: Upload,
  name: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<ModelArchive> {
  await using opened = new AsyncDisposableStack();
  const packed = join(upload.directory, 'archive');
  await rename(join(upload.files, name), packed);
  opened.defer(() => rm(packed, { force: true }));
  const kind = name.toLowerCase().endsWith('.tar') ? 'tar' : 'zip';
  const archive = opened.use(await openArchive(packed, kind, { maxBytes, maxFiles: MAX_FILES }, signal));
  await upload.ensureRoom(archive.byteLength);
  const kept = opened.move();
  const whole = new Map<string, StoredFile>();
  return {
    names: archive.entries.map(({ name }) => name),
    outline: () => outline(archive, whole, upload, signal),
    unpack: (model) => unpack(archive, whole, model, upload, signal),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** @param whole gets the files that are there in full */
async function outline(
  { entries }: Archive,
  whole: Map<string, StoredFile>,
  upload: Upload,
  signal: AbortSignal,
): Promise<void> {
  const folders = new Set(entries.map(({ name }) => dirname(join(upload.files, name))));
  for (const folder of folders) await mkdir(folder, { recursive: true });
  const hasOneGraph = entries.filter(({ name }) => name.endsWith('.onnx')).length === 1;
  const isReadWhole = ({ name, byteLength }: ArchiveFile) =>
    name.endsWith('.onnx')
      ? hasOneGraph
      : name.endsWith('.safetensors.index.json') ||
        (name.endsWith('.safetensors') && byteLength <= SMALL_BYTES);
  for (const entry of entries) {
    signal.throwIfAborted();
    const { name, byteLength, open: openEntry } = entry;
    const path = join(upload.files, name);
    if (isReadWhole(entry)) {
      whole.set(name, { name, ...(await storeFile(openEntry(), path, upload, signal)) });
      continue;
    }
    if (name.endsWith('.safetensors')) await storeFile(headerOf(entry), path, upload, signal);
    await using handle = await open(path, 'a');
    await handle.truncate(byteLength);
  }
}

async function unpack(
  { entries }: Archive,
  whole: ReadonlyMap<string, StoredFile>,
  { format, files }: ModelOutline,
  upload: Upload,
  signal: AbortSignal,
): Promise<StoredFile[]> {
  const named = new Set(files);
  const isCompanion = ({ name, byteLength }: ArchiveFile) =>
    format === 'safetensors' &&
    !/\.safetensors(\.index\.json)?$/.test(name) &&
    byteLength <= MAX_COMPANION_BYTES;
  const stored: StoredFile[] = [];
  const emptied = new Set<string>();
  for (const entry of entries) {
    signal.throwIfAborted();
    const { name, open: openEntry } = entry;
    const path = join(upload.files, name);
    if (named.has(name) || isCompanion(entry)) {
      stored.push(whole.get(name) ?? { name, ...(await storeFile(openEntry(), path, upload, signal, 'r+')) });
    } else {
      await rm(path);
      for (const folder of foldersOf(name)) emptied.add(folder);
    }
  }
  for (const { name } of stored) for (const folder of foldersOf(name)) emptied.delete(folder);
  for (const folder of [...emptied].sort().reverse()) await rmdir(join(upload.files, folder));
  return stored;
}

/** All that a file lies in, each behind the one around it. */
function foldersOf(name: string): string[] {
  const parts = name.split('/');
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join('/'));
}

/** The beginning of a safetensors file, as far as its header claims to reach. */
async function* headerOf({ open: openEntry }: ArchiveFile): AsyncGenerator<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let left = LENGTH_BYTES;
  let isLengthKnown = false;
  for await (const chunk of openEntry()) {
    yield chunk;
    if (!isLengthKnown) chunks.push(chunk);
    left -= chunk.byteLength;
    if (left <= 0 && !isLengthKnown) {
      const length = Buffer.concat(chunks).readBigUInt64LE();
      isLengthKnown = true;
      left += length > MAX_HEADER_BYTES ? 0 : Number(length);
    }
    if (left <= 0) return;
  }
}
