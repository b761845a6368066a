import { createReadStream, existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress } from 'node:zlib';
import tar from 'tar-stream';

/** Made by `npm run build:queue-database`. */
export const NEW_DATABASE = new URL('./new-database.tar.br', import.meta.url);

/**
 * Puts the database of a queue that has never been used into a folder that has none, whole or not at all. PostgreSQL's own initdb and BullMQ's migrations would take six times as long.
 * @throws Error of the system where there is no room, or where the folder holds something else
 */
export async function placeNewDatabase(folder: string): Promise<void> {
  if (existsSync(join(folder, 'PG_VERSION'))) return;
  const unfinished = `${folder}.new`;
  await rm(unfinished, { recursive: true, force: true });
  // Not a data directory that has been moved away: only this folder, and the one around it.
  await mkdir(dirname(folder)).catch(() => {});
  await mkdir(unfinished);
  try {
    await extractInto(unfinished);
    await rename(unfinished, folder);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    throw error;
  }
}

async function extractInto(folder: string): Promise<void> {
  const entries = tar.extract();
  const reading = pipeline(createReadStream(NEW_DATABASE), createBrotliDecompress(), entries);
  for await (const entry of entries) {
    const path = join(folder, entry.header.name);
    if (entry.header.type === 'directory') await mkdir(path, { recursive: true });
    else await writeFile(path, await buffer(entry));
    entry.resume();
  }
  await reading;
}
