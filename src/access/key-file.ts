import { rename, writeFile } from 'node:fs/promises';
import type { z } from 'zod';
import { createKey, KeyRing, type Keys, keyFileSchema, keyNameSchema, type StoredKey } from './api-keys.ts';
import { type Caller, tenantNameSchema } from './caller.ts';
import { withFileLock } from './file-lock.ts';
import { readSettings, SettingsFileError, watchSettings } from './settings-file.ts';

const ADVICE = 'emp keys add writes it';

/** The keys of a file. @throws SettingsFileError; errors with a `code` where it cannot be read */
export async function readKeys(path: string): Promise<StoredKey[]> {
  return (await readSettings(path, keyFileSchema, ADVICE)).keys;
}

/** The keys of a file, as it is changed. */
export interface WatchedKeys extends Keys {
  close(): void;
}

/**
 * Reads a file of keys, and again whenever it has changed.
 * @param onError hears why a changed file was left
 * @throws as `readKeys`, the first time
 */
export async function watchKeys(path: string, onError: (error: unknown) => void): Promise<WatchedKeys> {
  const read = async () => new KeyRing(await readKeys(path));
  const { latest, close } = await watchSettings(path, read, onError);
  return { find: (text) => latest().find(text), close };
}

/** Adds a key to a file, which need not be there. @returns the key, which nothing keeps. @throws as `readKeys`, and for a name that is there or cannot be one, of the key or its tenant */
export async function addKey(path: string, caller: Caller): Promise<string> {
  check('name', keyNameSchema, caller.name);
  if (caller.tenant !== null) check('tenant', tenantNameSchema, caller.tenant);
  return await withFileLock(path, async () => {
    const keys = await readKeys(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    if (keys.some(({ name }) => name === caller.name))
      throw new SettingsFileError(
        `${path} has a key ${caller.name}: remove it first, or choose another name`,
      );
    const { text, stored } = createKey(caller);
    await writeKeys(path, [...keys, stored]);
    return text;
  });
}

function check(what: string, schema: z.ZodType, value: string): void {
  const parsed = schema.safeParse(value);
  if (!parsed.success)
    throw new SettingsFileError(`the ${what} ${JSON.stringify(value)} ${parsed.error.issues[0].message}`);
}

/** Takes a key out of a file. @throws as `readKeys`, and for a name that is not there */
export async function removeKey(path: string, name: string): Promise<void> {
  await withFileLock(path, async () => {
    const keys = await readKeys(path);
    const left = keys.filter((key) => key.name !== name);
    if (left.length === keys.length) throw new SettingsFileError(`${path} has no key ${name}`);
    await writeKeys(path, left);
  });
}

/** Whoever reads meanwhile sees the one or the other. */
async function writeKeys(path: string, keys: readonly StoredKey[]): Promise<void> {
  const next = `${path}.${process.pid}`;
  await writeFile(next, `${JSON.stringify({ keys }, null, 2)}\n`, { mode: 0o600 });
  await rename(next, path);
}
