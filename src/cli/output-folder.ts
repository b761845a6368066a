import { mkdir, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve, sep } from 'node:path';
import { EXIT, fileRefusal, Refusal } from './refusal.ts';

/** Where a run writes, alone. Disposing of it removes what the run made, and nothing else, unless it is kept. */
export interface OutputFolder extends AsyncDisposable {
  readonly path: string;
  /** Where a file of this name goes, which the run is about to write. @throws Refusal for one that would lie elsewhere */
  place(name: string): string;
  write(name: string, text: string): Promise<void>;
  keep(): void;
}

/**
 * Opens the folder that a run may write into, before it begins, and keeps others out until it ends.
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
    }
    await claim(path);
  } catch (error) {
    if (made) await removeEmptied(path, dirname(made));
    throw fileRefusal(error, `cannot write to ${wanted}`, ': name another folder with --output');
  }
  let isKept = false;
  const written: string[] = [];
  const place = (name: string) => {
    const file = resolve(path, name);
    // A server may name its files as it likes.
    if (!file.startsWith(resolve(path) + sep))
      throw new Refusal(EXIT.fault, `a file named ${JSON.stringify(name)} would lie outside of ${path}`);
    written.push(file);
    return join(path, name);
  };
  return {
    path,
    place,
    async write(name, text) {
      const file = place(name);
      await writeFile(file, text).catch((error) => {
        throw fileRefusal(error, `cannot write ${file}`);
      });
    },
    keep() {
      isKept = true;
    },
    async [Symbol.asyncDispose]() {
      await rm(join(path, CLAIM), { force: true });
      if (isKept) return;
      for (const file of written) {
        await rm(file, { force: true });
        await removeEmptied(dirname(file), path);
      }
      if (made) await removeEmptied(path, dirname(made));
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
  const above = await makeFolders(dirname(path));
  try {
    await mkdir(path);
    return above ?? path;
  } catch (error) {
    // Another run was faster.
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return above;
    throw error;
  }
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

/** Lies in the folder while a run has it: to another run it is not empty. */
const CLAIM = '.emp-run';

/** Fails where another run was faster, or nothing can be written, before anything is computed. */
async function claim(path: string): Promise<void> {
  try {
    await writeFile(join(path, CLAIM), `${process.pid}\n`, { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw notEmpty(path);
    // Made, and without room for what it says.
    await rm(join(path, CLAIM), { force: true }).catch(() => {});
    throw error;
  }
}

/** Removes a folder and those above it, below `stays`, as far as nothing lies in them. */
async function removeEmptied(path: string, stays: string): Promise<void> {
  for (let folder = resolve(path); folder !== resolve(stays); folder = dirname(folder)) {
    const isRemoved = await rmdir(folder).then(
      () => true,
      () => false,
    );
    if (!isRemoved) return;
  }
}

/** @throws Refusal where something lies in the folder */
async function refuseFullFolder(path: string): Promise<void> {
  if ((await readdir(path)).length > 0) throw notEmpty(path);
}

function notEmpty(path: string): Refusal {
  return new Refusal(
    EXIT.badInput,
    `${path} is not empty: name another folder, or remove what lies in this one`,
  );
}
