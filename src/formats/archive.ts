import { open } from 'node:fs/promises';
import { EmpError } from '../core/errors.ts';
import {
  type ArchiveEntry,
  type ArchiveSource,
  asArchiveError,
  malformedEntry,
  refuseMany,
  tooLarge,
} from './archive-entry.ts';
import { listTar } from './archive-tar.ts';
import { listZip } from './archive-zip.ts';
import { FileNames } from './file-names.ts';

export type ArchiveKind = 'zip' | 'tar';

export interface ArchiveLimits {
  /** Of all content together. */
  readonly maxBytes: number;
  /** Of entries, and of files with the folders that they are in. */
  readonly maxFiles: number;
}

/** A regular file of an archive. */
export interface ArchiveFile extends Omit<ArchiveEntry, 'type'> {
  /** A relative path of plain names, which no other file of the archive stands in the way of. */
  readonly name: string;
}

/** An open archive, all of its claims within the limits. Nothing has been unpacked. */
export interface Archive<Entry = ArchiveFile> extends AsyncDisposable {
  readonly entries: readonly Entry[];
  /** Of all content together, unpacked. */
  readonly byteLength: number;
}

/** Of one part of a path, in bytes: what common file systems allow. */
const MAX_PART_BYTES = 255;
const MAX_PATH_BYTES = 1024;
const MAX_PARTS = 64;
/**
 * What unpacks to less is let through at any ratio: it is written in a second, and an archive of zeros is honest. Beyond, weights compress to a
 * half, pruned ones to a tenth; deflate ends at 1,032.
 */
const ANY_RATIO_BYTES = 256 * 2 ** 20;
const MAX_RATIO = 100;

const LISTERS: Readonly<
  Record<
    ArchiveKind,
    (source: ArchiveSource, maxFiles: number, signal?: AbortSignal) => Promise<ArchiveEntry[]>
  >
> = { zip: listZip, tar: listTar };

/**
 * Opens an archive and lists its regular files, which may lie in folders, but not outside of it. What macOS adds to every archive (`__MACOSX/`,
 * `._*`, `.DS_Store`) is left out, and so is a folder that all of them lie in: `tar -cf model.tar model/` holds the files of that folder.
 * @throws EmpError malformed_archive, payload_too_large
 */
export async function openArchive(
  path: string,
  kind: ArchiveKind,
  limits: ArchiveLimits,
  signal?: AbortSignal,
): Promise<Archive> {
  await using opened = new AsyncDisposableStack();
  const { entries, byteLength } = opened.use(await openEntries(path, kind, limits, signal));
  const files: ArchiveFile[] = [];
  const names = new FileNames();
  for (const entry of entries) {
    if (entry.type === 'directory' || isFinderLitter(entry.name)) continue;
    if (entry.type !== 'file')
      throw malformedEntry(entry.name, `is a ${entry.type}; only regular files are accepted`);
    const name = parseEntryPath(entry.name);
    const other = names.add(name);
    refuseMany(names.size, limits.maxFiles);
    if (other === name) throw malformedEntry(entry.name, 'is in the archive twice');
    if (other !== null) throw malformedEntry(entry.name, `is a file or folder where ${other} is the other`);
    files.push({ name, byteLength: entry.byteLength, open: entry.open });
  }
  if (files.length === 0) throw new EmpError('malformed_archive', 'the archive holds no files');
  const kept = opened.move();
  return {
    entries: liftOnlyFolder(files),
    byteLength,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Opens an archive whatever its entries are called. Throws as `openArchive`. */
export async function openEntries(
  path: string,
  kind: ArchiveKind,
  { maxBytes, maxFiles }: ArchiveLimits,
  signal?: AbortSignal,
): Promise<Archive<ArchiveEntry>> {
  await using opened = new AsyncDisposableStack();
  const handle = opened.use(await open(path, 'r'));
  const { size } = await handle.stat();
  const listed = await LISTERS[kind]({ handle, byteLength: size }, maxFiles, signal).catch((error) => {
    throw asArchiveError(error);
  });
  const byteLength = listed.reduce((sum, entry) => sum + entry.byteLength, 0);
  if (!(byteLength <= maxBytes))
    throw tooLarge(`the archive holds more than ${maxBytes} bytes: its files have ${byteLength}`);
  if (byteLength > ANY_RATIO_BYTES && byteLength > MAX_RATIO * size)
    throw tooLarge(
      `the archive unfolds from ${size} to ${byteLength} bytes, more than ${MAX_RATIO} times: send the files themselves, or an archive without compression`,
    );
  const entries = listed.map((entry) => ({ ...entry, open: () => readNamed(entry) }));
  const kept = opened.move();
  return { entries, byteLength, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Content whose errors say which entry they are about. */
async function* readNamed({ name, open: openEntry }: ArchiveEntry): AsyncGenerator<Uint8Array> {
  try {
    yield* openEntry();
  } catch (error) {
    throw asArchiveError(error, `${name}: `);
  }
}

function liftOnlyFolder(files: readonly ArchiveFile[]): readonly ArchiveFile[] {
  const [{ name: first }] = files;
  const folder = first.slice(0, first.indexOf('/') + 1);
  if (folder === '' || !files.every(({ name }) => name.startsWith(folder))) return files;
  return liftOnlyFolder(files.map((file) => ({ ...file, name: file.name.slice(folder.length) })));
}

/** A relative path that stays where it is put. A leading `./`, which tar writes, is dropped. */
function parseEntryPath(name: string): string {
  const path = name.replace(/^(\.\/)+/, '');
  const parts = path.split('/');
  if (path.startsWith('/') || /^[a-z]:/i.test(path)) throw malformedEntry(name, 'is an absolute path');
  if (parts.includes('..')) throw malformedEntry(name, "climbs out of the archive's folder");
  if (/[\\\p{Cc}]/u.test(path)) throw malformedEntry(name, 'holds a backslash or a control character');
  if (!path.isWellFormed() || parts.some((part) => part === '' || part === '.'))
    throw malformedEntry(name, 'is not a path of plain names');
  if (
    Buffer.byteLength(path) > MAX_PATH_BYTES ||
    parts.length > MAX_PARTS ||
    parts.some((part) => Buffer.byteLength(part) > MAX_PART_BYTES)
  )
    throw malformedEntry(name, 'is too long a path');
  return path;
}

function isFinderLitter(name: string): boolean {
  return /(^|\/)(__MACOSX\/|\._[^/]*$|\.DS_Store$)/.test(name);
}
