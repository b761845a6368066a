import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { EmpError } from '../core/errors.ts';
import {
  type ArchiveEntry,
  type ArchiveLimits,
  createEntryWriter,
  limitEntries,
  malformedEntry,
} from './archive-entry.ts';
import { readTarEntries } from './archive-tar.ts';
import { readZipEntries } from './archive-zip.ts';

export type ArchiveKind = 'zip' | 'tar';

/** Of one part of a path, in bytes: what common file systems allow. */
const MAX_PART_BYTES = 255;
const MAX_PATH_BYTES = 1024;

const READERS: Readonly<Record<ArchiveKind, (path: string) => AsyncIterable<ArchiveEntry>>> = {
  zip: readZipEntries,
  tar: readTarEntries,
};

/**
 * Extracts the files of an archive, streaming, into an existing empty folder: regular files only, under the names they have, which may lie in
 * folders but not outside `destination`. What macOS adds to every archive (`__MACOSX/`, `._*`, `.DS_Store`) is left out. On an error the
 * folder is left half-filled, for the caller to discard.
 * @returns the files' names relative to `destination`, in the archive's order
 * @throws EmpError malformed_archive, payload_too_large
 */
export async function extractArchive(
  archivePath: string,
  kind: ArchiveKind,
  destination: string,
  limits: ArchiveLimits,
): Promise<string[]> {
  const files = new Set<string>();
  const folders = new Set<string>();
  const write = createEntryWriter(limits);
  for await (const entry of limitEntries(READERS[kind](archivePath), limits)) {
    if (entry.type === 'directory' || isFinderLitter(entry.name)) continue;
    if (entry.type !== 'file')
      throw malformedEntry(entry.name, `is a ${entry.type}; only regular files are accepted`);
    const parts = parseEntryPath(entry.name);
    const name = parts.join('/');
    const parents = parts.slice(0, -1).map((_, i) => parts.slice(0, i + 1).join('/'));
    if (files.has(name)) throw malformedEntry(entry.name, 'is in the archive twice');
    if (folders.has(name) || parents.some((parent) => files.has(parent)))
      throw malformedEntry(entry.name, 'is both a file and a folder');
    files.add(name);
    for (const parent of parents) folders.add(parent);
    if (parents.length > 0) await mkdir(join(destination, ...parts.slice(0, -1)), { recursive: true });
    await write(entry, join(destination, ...parts));
  }
  if (files.size === 0) throw new EmpError('malformed_archive', 'the archive holds no files');
  return [...files];
}

/** The parts of a relative path that stays where it is put. A leading `./`, which tar writes, is dropped. */
function parseEntryPath(name: string): string[] {
  const path = name.replace(/^(\.\/)+/, '');
  const parts = path.split('/');
  if (path.startsWith('/') || /^[a-z]:/i.test(path)) throw malformedEntry(name, 'is an absolute path');
  if (parts.includes('..')) throw malformedEntry(name, "climbs out of the archive's folder");
  if (/[\\\p{Cc}]/u.test(path)) throw malformedEntry(name, 'holds a backslash or a control character');
  if (!path.isWellFormed() || parts.some((part) => part === '' || part === '.'))
    throw malformedEntry(name, 'is not a path of plain names');
  if (
    Buffer.byteLength(path) > MAX_PATH_BYTES ||
    parts.some((part) => Buffer.byteLength(part) > MAX_PART_BYTES)
  )
    throw malformedEntry(name.slice(0, MAX_PART_BYTES), 'is too long a path');
  return parts;
}

function isFinderLitter(name: string): boolean {
  return /(^|\/)(__MACOSX\/|\._[^/]*$|\.DS_Store$)/.test(name);
}
