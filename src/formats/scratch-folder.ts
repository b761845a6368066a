import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';

export interface ScratchFolder extends AsyncDisposable {
  readonly path: string;
}

/** Makes a folder of its own in `parent`, to be removed with all that is in it: `await using`, before what is opened there. */
export async function makeScratchFolder(parent: string, prefix: string): Promise<ScratchFolder> {
  const path = await mkdtemp(join(parent, prefix));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}
