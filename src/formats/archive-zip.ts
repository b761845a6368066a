import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import yauzl, { type Entry, type ZipFile } from 'yauzl';
import type { ArchiveEntry } from './archive-entry.ts';

const S_IFMT = 0o170000;
const UNIX_TYPES: ReadonlyMap<number, string> = new Map([
  // Many writers leave the type out.
  [0, 'file'],
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
]);
const MADE_ON_UNIX = 3;

/** The entries of a zip or zip64 file, stored or deflated, each checked against its size and CRC-32. Throws errors of the library. */
export async function* readZipEntries(path: string): AsyncGenerator<ArchiveEntry> {
  await using handle = await open(path, 'r');
  const { size } = await handle.stat();
  const reader = new RangeCheckedReader(path, handle, size);
  // Names stay bytes: decoding them, yauzl would also judge them as paths, which the arrays of a .npz need not be.
  const zip = await yauzl.fromRandomAccessReaderPromise(reader, size, { decodeStrings: false });
  for await (const entry of zip.eachEntry()) {
    const { generalPurposeBitFlag, fileNameRaw, extraFields } = entry;
    const name = yauzl.getFileNameLowLevel(generalPurposeBitFlag, fileNameRaw, extraFields, true);
    yield { name, type: typeOf(entry, name), open: () => readChecked(zip, entry) };
  }
}

async function* readChecked(zip: ZipFile, entry: Entry): AsyncGenerator<Uint8Array> {
  let checksum = 0;
  for await (const chunk of await zip.openReadStreamPromise(entry)) {
    checksum = crc32(chunk, checksum);
    yield chunk;
  }
  if (checksum !== entry.crc32) throw new Error('its CRC-32 does not match its content');
}

function typeOf({ versionMadeBy, externalFileAttributes }: Entry, name: string): string {
  if (name.endsWith('/')) return 'directory';
  if (versionMadeBy >>> 8 !== MADE_ON_UNIX) return 'file';
  return UNIX_TYPES.get((externalFileAttributes >>> 16) & S_IFMT) ?? 'device';
}

/** yauzl's own file reader passes any 64-bit offset of a hostile file to `fs.read`, which throws where nobody can catch it. */
class RangeCheckedReader extends yauzl.RandomAccessReader {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #size: number;

  constructor(path: string, handle: FileHandle, size: number) {
    super();
    this.#path = path;
    this.#handle = handle;
    this.#size = size;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    if (position < 0 || position + length > this.#size) {
      setImmediate(callback, new Error(`it points to byte ${position}, beyond its end at ${this.#size}`));
      return;
    }
    this.#handle
      .read(buffer, offset, length, position)
      .then(
        ({ bytesRead }) => callback(bytesRead < length ? new Error('unexpected end of file') : null),
        callback,
      );
  }

  override _readStreamForRange(start: number, end: number): Readable {
    return createReadStream(this.#path, { start, end: end - 1 });
  }

  /** The handle belongs to the caller. */
  override close(callback: (error: Error | null) => void): void {
    setImmediate(callback, null);
  }
}
