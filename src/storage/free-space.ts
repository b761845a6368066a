import { rm, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EmpError } from '../core/errors.ts';
import { writeDurably } from './durable-files.ts';

/** Bytes between two looks at the disk. */
const LOOK_EVERY_BYTES = 16 * 2 ** 20;
/** Below this, results and the queue's own files soon fail: room to end what has begun, not to begin more. */
const MIN_WORKING_BYTES = 32 * 2 ** 20;
/** More than what file systems keep inside an inode. */
const PROBE = '\0'.repeat(4096);

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

/**
 * Writes a few kilobytes to a free path, and removes them.
 * @throws EmpError insufficient_storage where the room left is too little to begin a job
 */
export async function probeDisk(path: string): Promise<void> {
  try {
    await writeDurably(path, PROBE);
  } finally {
    await rm(path, { force: true });
  }
  const free = await freeBytes(dirname(path));
  if (free < MIN_WORKING_BYTES)
    throw new EmpError(
      'insufficient_storage',
      `the data directory has ${free} bytes left, too few to begin a job`,
    );
}
