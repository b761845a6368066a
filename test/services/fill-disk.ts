import { open } from 'node:fs/promises';

/** Writes a file until its disk has no byte left. */
export async function fillDisk(path: string): Promise<void> {
  await using file = await open(path, 'a');
  for (let size = 2 ** 20; size >= 1; ) {
    try {
      await file.write(Buffer.alloc(size));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      size /= 2;
    }
  }
}
