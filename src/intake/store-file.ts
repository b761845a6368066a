import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { StoredFile } from '../storage/records.ts';
import type { Upload } from '../storage/store.ts';

/**
 * Writes a stream to a file, hashed on the way.
 * @param flags `wx` for a file that must not be there
 * @throws the signal's reason, EmpError `insufficient_storage`, and what the stream throws
 */
export async function storeFile(
  chunks: AsyncIterable<Uint8Array>,
  path: string,
  { ensureRoom }: Pick<Upload, 'ensureRoom'>,
  signal: AbortSignal,
  flags: 'wx' | 'r+' = 'wx',
): Promise<Omit<StoredFile, 'name'>> {
  await using handle = await open(path, flags);
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    await ensureRoom(chunk.byteLength);
    hash.update(chunk);
    await handle.writeFile(chunk);
    size += chunk.byteLength;
  }
  return { size_bytes: size, sha256: hash.digest('hex') };
}
