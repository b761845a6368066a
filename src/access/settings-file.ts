import { unwatchFile, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { z } from 'zod';

/** How soon a change of a file counts. A mounted one is a link that is moved, which only looking shows. */
const LOOK_MS = 2000;

/** A file of settings that cannot be used. The message names it and what would be right, in one line. */
export class SettingsFileError extends Error {
  override readonly name = 'SettingsFileError';
}

/**
 * What a file of JSON says.
 * @param advice what to do about one that is no JSON
 * @throws SettingsFileError; errors with a `code` where it cannot be read
 */
export async function readSettings<S extends z.ZodType>(
  path: string,
  schema: S,
  advice: string,
): Promise<z.output<S>> {
  const text = await readFile(path, 'utf8');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new SettingsFileError(`${path} is no JSON (${(error as Error).message}): ${advice}`);
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [{ path: place, message }] = parsed.error.issues;
  throw new SettingsFileError(`${path}: /${place.join('/')}: ${message}`);
}

/** What a file says, as it is changed. */
export interface Watched<T> {
  latest(): T;
  close(): void;
}

/**
 * Reads a file, and again whenever it has changed. One that cannot be used any more leaves what it said before: nobody is let in, or locked out, by a slip.
 * @param onError hears why a changed file was left
 * @throws as `read`, the first time
 */
export async function watchSettings<T>(
  path: string,
  read: (path: string) => Promise<T>,
  onError: (error: unknown) => void,
): Promise<Watched<T>> {
  let latest: T = await read(path);
  const look = () => {
    read(path).then((next: T) => {
      latest = next;
    }, onError);
  };
  watchFile(path, { interval: LOOK_MS, persistent: false }, look);
  return { latest: () => latest, close: () => unwatchFile(path, look) };
}
