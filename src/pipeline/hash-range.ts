import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { Progress } from './progress.ts';

/** Bytes hashed at a time. */
const HASHED_BYTES = 1 << 20;

/** SHA-256 of a stretch of a file, in hexadecimal. */
export async function hashRange(
  handle: FileHandle,
  { offset, byteLength }: { readonly offset: number; readonly byteLength: number },
  signal: AbortSignal,
  progress?: Progress,
): Promise<string> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(Math.min(HASHED_BYTES, byteLength));
  for (let done = 0; done < byteLength; ) {
    signal.throwIfAborted();
    const length = Math.min(buffer.byteLength, byteLength - done);
    const { bytesRead } = await handle.read(buffer, 0, length, offset + done);
    if (bytesRead === 0) throw new Error(`a file ended at byte ${offset + done} while it was hashed`);
    hash.update(buffer.subarray(0, bytesRead));
    done += bytesRead;
    progress?.advance(bytesRead);
  }
  return hash.digest('hex');
}
