import { unwatchFile, watchFile } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import type { z } from 'zod';
import { createKey, KeyRing, type Keys, keyFileSchema, keyNameSchema, type StoredKey } from './api-keys.ts';
import { type Caller, tenantNameSchema } from './caller.ts';

/** How soon a change of the file counts. A mounted secret is a link that is moved, which only looking shows. */
const LOOK_MS = 2000;

/** A file of keys that cannot be used. The message names it and what would be right, in one line. */
export class KeyFileError extends Error {
  override readonly name = 'KeyFileError';
}

/** The keys of a file. @throws KeyFileError; errors with a `code` where it cannot be read */
export async function readKeys(path: string): Promise<StoredKey[]> {
  return parseKeys(path, await readFile(path, 'utf8')).keys;
}

function parseKeys(path: string, text: string): z.output<typeof keyFileSchema> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new KeyFileError(`${path} is no JSON (${(error as Error).message}): emp keys add writes it`);
  }
  const parsed = keyFileSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [{ path: place, message }] = parsed.error.issues;
  throw new KeyFileError(`${path}: /${place.join('/')}: ${message}`);
}

/** The keys of a file, as it is changed. */
export interface WatchedKeys extends Keys {
  close(): void;
}

/**
 * Reads a file of keys, and again whenever it has changed. A file that cannot be used any more leaves the keys as they were: nobody is let in or locked out by a slip.
 * @param onError hears why a changed file was left
 * @throws as `readKeys`, the first time
 */
export async function watchKeys(path: string, onError: (error: unknown) => void): Promise<WatchedKeys> {
  let ring = new KeyRing(await readKeys(path));
  const look = () => {
    readKeys(path).then((keys) => {
      ring = new KeyRing(keys);
    }, onError);
  };
  watchFile(path, { interval: LOOK_MS, persistent: false }, look);
  return { find: (text) => ring.find(text), close: () => unwatchFile(path, look) };
}

/** Adds a key to a file, which need not be there. @returns the key, which nothing keeps. @throws as `readKeys`, and for a name that is there or cannot be one, of the key or its tenant */
export async function addKey(path: string, caller: Caller): Promise<string> {
  check('name', keyNameSchema, caller.name);
  if (caller.tenant !== null) check('tenant', tenantNameSchema, caller.tenant);
  const keys = await readKeys(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  if (keys.some(({ name }) => name === caller.name))
    throw new KeyFileError(`${path} has a key ${caller.name}: remove it first, or choose another name`);
  const { text, stored } = createKey(caller);
  await writeKeys(path, [...keys, stored]);
  return text;
}

function check(what: string, schema: z.ZodType, value: string): void {
  const parsed = schema.safeParse(value);
  if (!parsed.success)
    throw new KeyFileError(`the ${what} ${JSON.stringify(value)} ${parsed.error.issues[0].message}`);
}

/** Takes a key out of a file. @throws as `readKeys`, and for a name that is not there */
export async function removeKey(path: string, name: string): Promise<void> {
  const keys = await readKeys(path);
  const left = keys.filter((key) => key.name !== name);
  if (left.length === keys.length) throw new KeyFileError(`${path} has no key ${name}`);
  await writeKeys(path, left);
}

/** Whoever reads meanwhile sees the one or the other. */
async function writeKeys(path: string, keys: readonly StoredKey[]): Promise<void> {
  const next = `${path}.${process.pid}`;
  await writeFile(next, `${JSON.stringify({ keys }, null, 2)}\n`, { mode: 0o600 });
  await rename(next, path);
}
