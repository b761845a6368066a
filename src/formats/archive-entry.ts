import type { FileHandle } from 'node:fs/promises';
import { EmpError } from '../core/errors.ts';

/** One entry of an archive, as its headers describe it. */
export interface ArchiveEntry {
  /** As written in the archive: not to be trusted as a path. */
  readonly name: string;
  /** `file`, `directory`, or what else it is (`symlink`, `character-device`, ...). */
  readonly type: string;
  /** Of its content, unpacked. */
  readonly byteLength: number;
  /** The content from its beginning, as often as asked for. Never more than `byteLength`; rejects where it is less, or broken. */
  open(): AsyncIterable<Uint8Array>;
}

/** An archive's file, to be listed. */
export interface ArchiveSource {
  readonly handle: FileHandle;
  /** Of the file. */
  readonly byteLength: number;
}

const READ_BYTES = 256 * 1024;
/** Above every path, and above what exporters call a tensor. */
const MAX_NAME_LENGTH = 4096;
/** What an error repeats of a name. */
const SHOWN_LENGTH = 255;

/** The bytes `[start, end)` of a file, by chunk. */
export async function* readRange(
  handle: FileHandle,
  start: number,
  end: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (let position = start; position < end; ) {
    signal?.throwIfAborted();
    const chunk = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, end - position));
    const { bytesRead } = await handle.read(chunk, 0, chunk.byteLength, position);
    if (bytesRead === 0) throw new Error('unexpected end of file');
    position += bytesRead;
    yield chunk.subarray(0, bytesRead);
  }
}

/** Throws `payload_too_large` for more entries than an archive may have, directories included. */
export function refuseMany(count: number, maxFiles: number): void {
  if (count > maxFiles) throw tooLarge(`the archive holds more than ${maxFiles} entries`);
}

/** Throws `malformed_archive` for a name that would only take memory and time. */
export function refuseLongName(name: string): void {
  if (name.length > MAX_NAME_LENGTH)
    throw malformedEntry(name, `is a name of more than ${MAX_NAME_LENGTH} characters`);
}

/** Errors of an archive library, which are about the archive unless the system call says that they are about this machine. */
export function asArchiveError(error: unknown, where = ''): unknown {
  if (!(error instanceof Error) || error instanceof EmpError || 'syscall' in error) return error;
  return new EmpError('malformed_archive', `${where}${error.message}`);
}

/** The error for an entry that an archive of this kind may not have. */
export function malformedEntry(name: string, message: string): EmpError {
  const path = name.slice(0, SHOWN_LENGTH);
  return new EmpError('malformed_archive', `${JSON.stringify(path)} ${message}`, [{ path, message }]);
}

export function tooLarge(message: string): EmpError {
  return new EmpError('payload_too_large', message);
}
