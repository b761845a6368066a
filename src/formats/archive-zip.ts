import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import yauzl, { type Entry, type ZipFile } from 'yauzl';
import {
  type ArchiveEntry,
  type ArchiveSource,
  malformedEntry,
  readRange,
  refuseLongName,
  refuseMany,
  tooLarge,
} from './archive-entry.ts';

const S_IFMT = 0o170000;
const UNIX_TYPES: ReadonlyMap<number, string> = new Map([
  // Many writers leave the type out.
  [0, 'file'],
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
]);
const MADE_ON_UNIX = 3;
/** Of an entry's own header, without its name. */
const LOCAL_HEADER_BYTES = 30;
/** Of names, extra fields and comments together, which stay in memory: well above what thousands of entries of the longest paths take. */
const MAX_DIRECTORY_BYTES = 16 * 1024 * 1024;
/** General purpose bit 3: an entry's own header leaves sizes and checksum to what follows the content. */
const SIZES_FOLLOW = 0x8;
/** In place of a size: it is in the zip64 extra field. */
const ZIP64_SIZE = 0xffffffff;

/**
 * The entries of a zip or zip64 file as its directory lists them, stored or deflated. No two may share bytes of the file: what is unpacked is
 * bounded by what was sent. The content is checked against its own header, its size and its CRC-32. Throws errors of the library.
 */
export async function listZip(
  { handle, byteLength }: ArchiveSource,
  maxFiles: number,
): Promise<ArchiveEntry[]> {
  const reader = new RangeCheckedReader(handle, byteLength);
  // Names stay bytes: decoding them, yauzl would also judge them as paths, which the arrays of a .npz need not be.
  const options = { decodeStrings: false, autoClose: false };
  const zip = await yauzl.fromRandomAccessReaderPromise(reader, byteLength, options);
  refuseMany(zip.entryCount, maxFiles);
  const listed: NamedEntry[] = [];
  let directoryBytes = 0;
  for await (const entry of zip.eachEntry()) {
    directoryBytes += entry.fileNameLength + entry.extraFieldLength + entry.fileCommentLength;
    if (directoryBytes > MAX_DIRECTORY_BYTES)
      throw tooLarge(`the archive's directory is larger than ${MAX_DIRECTORY_BYTES} bytes`);
    const { generalPurposeBitFlag, fileNameRaw, extraFields } = entry;
    const name = yauzl.getFileNameLowLevel(generalPurposeBitFlag, fileNameRaw, extraFields, true);
    refuseLongName(name);
    // Each of thousands would be kept as an object.
    entry.extraFields = [];
    listed.push({ entry, name });
  }
  const ends = findEnds(listed, byteLength);
  return listed.map(({ entry, name }, i) => ({
    name,
    type: typeOf(entry, name),
    byteLength: entry.uncompressedSize,
    open: () => readChecked(zip, entry, ends[i]),
  }));
}

interface NamedEntry {
  readonly entry: Entry;
  readonly name: string;
}

/**
 * Where the bytes of each entry must have ended: where the next begins, or the file ends.
 * @throws EmpError malformed_archive for entries that share bytes
 */
function findEnds(listed: readonly NamedEntry[], fileByteLength: number): number[] {
  const startOf = (index: number) => listed[index].entry.relativeOffsetOfLocalHeader;
  const order = [...listed.keys()].sort((a, b) => startOf(a) - startOf(b));
  const ends: number[] = [];
  for (const [rank, index] of order.entries()) {
    const { entry, name } = listed[index];
    const next = order[rank + 1];
    const end = next === undefined ? fileByteLength : startOf(next);
    if (startOf(index) + LOCAL_HEADER_BYTES + entry.fileNameLength + entry.compressedSize > end) {
      const what =
        next === undefined
          ? 'reaches beyond the end of the archive'
          : `overlaps ${JSON.stringify(listed[next].name)}`;
      throw malformedEntry(name, what);
    }
    ends[index] = end;
  }
  return ends;
}

async function* readChecked(zip: ZipFile, entry: Entry, end: number): AsyncGenerator<Uint8Array> {
  const local = await zip.readLocalFileHeaderPromise(entry);
  if (local.fileDataStart + entry.compressedSize > end) throw new Error('its content overlaps another entry');
  const isSize = (own: number, listed: number) => own === listed || own === ZIP64_SIZE;
  const agrees =
    local.fileName.equals(entry.fileNameRaw) &&
    local.compressionMethod === entry.compressionMethod &&
    (local.generalPurposeBitFlag & SIZES_FOLLOW ||
      (isSize(local.compressedSize, entry.compressedSize) &&
        isSize(local.uncompressedSize, entry.uncompressedSize)));
  if (!agrees) throw new Error("its own header and the archive's directory disagree");
  let checksum = 0;
  for await (const chunk of await zip.openReadStreamPromise(entry)) {
    checksum = crc32(chunk, checksum);
    yield chunk;
  }
  if (checksum !== entry.crc32) throw new Error('its CRC-32 does not match its content');
}

function typeOf(entry: Entry, name: string): string {
  if (name.endsWith('/')) return 'directory';
  if (entry.versionMadeBy >>> 8 !== MADE_ON_UNIX) return 'file';
  return UNIX_TYPES.get((entry.externalFileAttributes >>> 16) & S_IFMT) ?? 'device';
}

/** A directory of thousands of entries is read in some pieces, not in two reads each. */
const READ_AHEAD_BYTES = 64 * 1024;

/** yauzl's own file reader passes any 64-bit offset of a hostile file to `fs.read`, which throws where nobody can catch it. */
class RangeCheckedReader extends yauzl.RandomAccessReader {
  readonly #handle: FileHandle;
  readonly #size: number;
  #ahead: { readonly start: number; readonly bytes: Buffer } = { start: 0, bytes: Buffer.alloc(0) };

  constructor(handle: FileHandle, size: number) {
    super();
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
    this.#bytes(position, length).then((bytes) => {
      bytes.copy(buffer, offset);
      callback(null);
    }, callback);
  }

  override _readStreamForRange(start: number, end: number): Readable {
    return Readable.from(readRange(this.#handle, start, end), { objectMode: false });
  }

  /** The handle belongs to the caller. */
  override close(callback: (error: Error | null) => void): void {
    setImmediate(callback, null);
  }

  async #bytes(position: number, length: number): Promise<Buffer> {
    const from = position - this.#ahead.start;
    if (from < 0 || from + length > this.#ahead.bytes.byteLength) {
      const bytes = Buffer.allocUnsafeSlow(
        Math.max(length, Math.min(READ_AHEAD_BYTES, this.#size - position)),
      );
      const { bytesRead } = await this.#handle.read(bytes, 0, bytes.byteLength, position);
      if (bytesRead < bytes.byteLength) throw new Error('unexpected end of file');
      this.#ahead = { start: position, bytes };
      return bytes.subarray(0, length);
    }
    return this.#ahead.bytes.subarray(from, from + length);
  }
}
