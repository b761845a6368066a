import { type FileHandle, open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createZstdCompress } from 'node:zlib';

/** Files above this are estimated: zstd takes seconds a gigabyte. */
const EXACT_LIMIT = 64 * 2 ** 20;
const PIECE_BYTES = 512 * 1024;
/** 16 MB of a larger file, evenly spaced, compressed as one. */
const SAMPLE_PIECES = 32;

/**
 * Size in bytes of a file compressed by zstd at its default level 3. Above 64 MB it is estimated from a sample taken at
 * fixed places, the same for every file of that size, so that two such files compare.
 */
export async function compressedSize(
  path: string,
  signal: AbortSignal,
): Promise<{ bytes: number; estimated: boolean }> {
  await using handle = await open(path, 'r');
  const { size } = await handle.stat();
  const estimated = size > EXACT_LIMIT;
  const offsets = estimated
    ? Array.from({ length: SAMPLE_PIECES }, (_, i) =>
        Math.floor((i * (size - PIECE_BYTES)) / (SAMPLE_PIECES - 1)),
      )
    : Array.from({ length: Math.ceil(size / PIECE_BYTES) }, (_, i) => i * PIECE_BYTES);
  let compressed = 0;
  const stream = Readable.from(pieces(handle, offsets, signal)).compose(createZstdCompress());
  for await (const bytes of stream) compressed += (bytes as Uint8Array).byteLength;
  return {
    bytes: estimated ? Math.round((compressed / (SAMPLE_PIECES * PIECE_BYTES)) * size) : compressed,
    estimated,
  };
}

async function* pieces(
  handle: FileHandle,
  offsets: readonly number[],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (const offset of offsets) {
    signal.throwIfAborted();
    const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(PIECE_BYTES), 0, PIECE_BYTES, offset);
    yield buffer.subarray(0, bytesRead);
  }
}
