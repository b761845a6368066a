import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { EXIT, fileRefusal, Refusal } from './refusal.ts';

/** Where a run writes. Disposing of it removes what was made, unless it is kept. */
export interface OutputFolder extends AsyncDisposable {
  readonly path: string;
  write(name: string, text: string): Promise<void>;
  keep(): void;
}

/**
 * Opens the folder that a run may write into, before it begins.
 * @param asked a new or an empty folder; without it a new one in `parent`, named after the model
 * @throws Refusal for one that holds something, or cannot be made
 */
export async function openOutputFolder(
  asked: string | undefined,
  model: string,
  parent: string,
): Promise<OutputFolder> {
  const wanted = asked ?? join(parent, basename(model, extname(model)));
  let path = wanted;
  let made: string | undefined;
  try {
    if (asked === undefined) {
      made = await makeFolders(dirname(wanted));
      path = await createNewFolder(wanted);
      made ??= path;
    } else {
      made = await makeFolders(wanted);
      await refuseFullFolder(wanted);
      await probe(wanted);
    }
  } catch (error) {
    if (made) await rm(made, { recursive: true, force: true });
    throw fileRefusal(error, `cannot write to ${wanted}`, ': name another folder with --output');
  }
  let isKept = false;
  return {
    path,
    async write(name, text) {
      await writeFile(join(path, name), text).catch((error) => {
        throw fileRefusal(error, `cannot write ${join(path, name)}`);
      });
    },
    keep() {
      isKept = true;
    },
    async [Symbol.asyncDispose]() {
      if (isKept) return;
      if (made) return rm(made, { recursive: true, force: true });
      // It was there, and empty.
      for (const name of await readdir(path)) await rm(join(path, name), { recursive: true, force: true });
    },
  };
}

/**
 * Makes a folder and those above it. Node's own `recursive` calls a read-only disk a missing folder, and of some paths never ends.
 * @returns the topmost that was made; undefined where all were there
 */
async function makeFolders(path: string): Promise<string | undefined> {
  try {
    await mkdir(path);
    return path;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return undefined;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
  }
  const made = await makeFolders(dirname(path));
  await mkdir(path);
  return made ?? path;
}

/** Makes a folder that was not there: `path`, or where that is taken `path-2`, `path-3` and so on. Resolves to its path. */
export async function createNewFolder(path: string): Promise<string> {
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

/** Fails where nothing can be written, before anything is computed. */
async function probe(path: string): Promise<void> {
  const file = join(resolve(path), '.emp-probe');
  await writeFile(file, '');
  await rm(file);
}

/** @throws Refusal where something lies in the folder */
async function refuseFullFolder(path: string): Promise<void> {
  if ((await readdir(path)).length > 0)
    throw new Refusal(
      EXIT.badInput,
      `${path} is not empty: name another folder, or remove what lies in this one`,
    );
}
