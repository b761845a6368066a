import tar, { type Header } from 'tar-stream';
import {
  type ArchiveEntry,
  type ArchiveSource,
  readRange,
  refuseLongName,
  refuseMany,
} from './archive-entry.ts';

/** A header is one block, and the content begins behind it. */
const BLOCK_BYTES = 512;
/** Of all that stands before an entry's content: its header, a long name, attributes. They are held in memory, and attributes of all entries are copied to each. */
const MAX_HEADERS_BYTES = 32 * 1024;

/** The entries of an uncompressed tar file (ustar, pax, GNU). Reads their headers only. Throws errors of the library. */
export async function listTar(
  { handle, byteLength }: ArchiveSource,
  maxFiles: number,
  signal?: AbortSignal,
): Promise<ArchiveEntry[]> {
  const entries: ArchiveEntry[] = [];
  for (let position = 0; position < byteLength; ) {
    signal?.throwIfAborted();
    const head = Buffer.allocUnsafe(Math.min(MAX_HEADERS_BYTES, byteLength - position));
    const { bytesRead } = await handle.read(head, 0, head.byteLength, position);
    const bytes = head.subarray(0, bytesRead);
    const isCut = position + bytesRead < byteLength;
    const first = await readFirstHeader(bytes).catch((error) => {
      if (isCut && /end of data/.test(error.message)) return null;
      throw error;
    });
    if (!first && isCut && bytes.some((byte) => byte !== 0))
      throw new Error(`the headers of entry ${entries.length} take more than ${MAX_HEADERS_BYTES} bytes`);
    // Zeros: the end, whatever follows.
    if (!first) break;
    const { name, type, size } = first.header;
    refuseLongName(name);
    const start = position + first.contentOffset;
    const end = start + (type === 'directory' ? 0 : size);
    position = Math.ceil(end / BLOCK_BYTES) * BLOCK_BYTES;
    if (!(position <= byteLength)) throw new Error('Unexpected end of data');
    entries.push({
      name,
      type: type === 'contiguous-file' ? 'file' : (type ?? 'an unknown kind of entry'),
      byteLength: end - start,
      open: () => readRange(handle, start, end),
    });
    refuseMany(entries.length, maxFiles);
  }
  return entries;
}

/**
 * The header of the first entry, and how far behind the beginning of `bytes` its content begins; null where there is none. By a parser of its own for
 * each entry: the content need not be read, and what headers make the parser remember does not grow.
 */
async function readFirstHeader(bytes: Buffer): Promise<{ header: Header; contentOffset: number } | null> {
  const extract = tar.extract();
  const { promise, resolve, reject } = Promise.withResolvers<{
    header: Header;
    contentOffset: number;
  } | null>();
  extract.on('entry', (header, content) => {
    resolve({ header, contentOffset: content.offset + BLOCK_BYTES });
    // Most of it is not in `bytes`, which the parser takes for a file cut short.
    content.on('error', () => {});
  });
  extract.on('error', reject);
  extract.on('finish', () => resolve(null));
  extract.end(bytes);
  try {
    return await promise;
  } finally {
    extract.destroy();
  }
}
