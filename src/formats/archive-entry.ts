import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { EmpError } from '../core/errors.ts';

/** One entry of an archive, in the archive's order; its content is read at most once, before the next entry is asked for. */
export interface ArchiveEntry {
  /** As written in the archive: not to be trusted as a path. */
  readonly name: string;
  /** `file`, `directory`, or what else it is (`symlink`, `character-device`, ...). */
  readonly type: string;
  open(): AsyncIterable<Uint8Array>;
}

export interface ArchiveLimits {
  /** Of all content together, counted as it is written: what headers claim is not believed. */
  readonly maxBytes: number;
  /** Of entries, directories included. */
  readonly maxFiles: number;
}

/** Passes entries on while their number is within the limit. Throws `malformed_archive` where the archive cannot be read. */
export async function* limitEntries(
  entries: AsyncIterable<ArchiveEntry>,
  { maxFiles }: ArchiveLimits,
): AsyncGenerator<ArchiveEntry> {
  let count = 0;
  try {
    for await (const entry of entries) {
      count++;
      if (count > maxFiles) throw tooLarge(`the archive holds more than ${maxFiles} entries`);
      yield entry;
    }
  } catch (error) {
    throw asArchiveError(error, '');
  }
}

/** Gives a function that writes entries to new files until `maxBytes` are written in all. Throws `malformed_archive` for content. */
export function createEntryWriter({
  maxBytes,
}: ArchiveLimits): (entry: ArchiveEntry, path: string) => Promise<void> {
  let written = 0;
  const limited = async function* (chunks: AsyncIterable<Uint8Array>) {
    for await (const chunk of chunks) {
      written += chunk.byteLength;
      if (written > maxBytes) throw tooLarge(`the archive holds more than ${maxBytes} bytes`);
      yield chunk;
    }
  };
  return async (entry, path) => {
    try {
      await pipeline(entry.open(), limited, createWriteStream(path, { flags: 'wx' }));
    } catch (error) {
      throw asArchiveError(error, `${entry.name}: `);
    }
  };
}

/** Errors of an archive library, which are about the archive unless the system call says that they are about this machine. */
function asArchiveError(error: unknown, where: string): unknown {
  if (!(error instanceof Error) || error instanceof EmpError || 'syscall' in error) return error;
  return new EmpError('malformed_archive', `${where}${error.message}`);
}

/** The error for an entry that an archive of this kind may not have. */
export function malformedEntry(name: string, message: string): EmpError {
  return new EmpError('malformed_archive', `${JSON.stringify(name)} ${message}`, [{ path: name, message }]);
}

function tooLarge(message: string): EmpError {
  return new EmpError('payload_too_large', message);
}
