import { mkdir, readdir } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Makes a folder that was not there: `path`, or where that is taken `path-2`, `path-3` and so on. Resolves to its path. */
export async function createNewFolder(path: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? path : `${path}-${number}`;
    try {
      await mkdir(candidate);
      return candidate;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** @throws Error where something lies in the folder; one that does not exist is as good as an empty one */
export async function refuseFullFolder(path: string): Promise<void> {
  const found = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  if (found.length > 0)
    throw new Error(`${path} is not empty: name another folder, or remove what lies in this one`);
}
