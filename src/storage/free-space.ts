import { statfs } from 'node:fs/promises';
import { EmpError } from '../core/errors.ts';

/** Bytes between two looks at the disk. */
const LOOK_EVERY_BYTES = 16 * 2 ** 20;

/** What this process may still write where a folder is, in bytes. */
export async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

/**
 * Gives a function that is told of bytes about to be written, of few or of many, and looks at the disk as often as needed. It throws
 * `insufficient_storage` where they would leave less than `minFreeBytes`.
 */
export function roomChecker(directory: string, minFreeBytes: number): (byteLength: number) => Promise<void> {
  let vouched = 0;
  return async (byteLength) => {
    vouched -= byteLength;
    if (vouched >= 0) return;
    const room = (await freeBytes(directory)) - minFreeBytes - byteLength;
    if (room < 0)
      throw new EmpError(
        'insufficient_storage',
        `the data directory has no room for ${byteLength} bytes more: what is left is kept for the results of jobs (MIN_FREE_BYTES)`,
      );
    vouched = Math.min(room, LOOK_EVERY_BYTES);
  };
}
