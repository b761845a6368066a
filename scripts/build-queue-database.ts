import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants } from 'node:zlib';
import { PGlite } from '@electric-sql/pglite';
import { openEmbedded } from '../src/jobs/backends/embedded.ts';
import { NEW_DATABASE } from '../src/jobs/backends/new-database.ts';

const { BROTLI_PARAM_LGWIN, BROTLI_PARAM_SIZE_HINT, BROTLI_MAX_WINDOW_BITS } = constants;

/** The archive of the database of a queue that has never been used, as PostgreSQL's initdb and BullMQ's migrations make it; without an archive to begin with. */
export async function buildQueueDatabase(): Promise<Buffer> {
  const directory = mkdtempSync(join(tmpdir(), 'emp-new-database-'));
  const folder = join(directory, 'queue/pgdata');
  try {
    mkdirSync(join(directory, 'queue'));
    await (await PGlite.create(folder)).close();
    await (await openEmbedded(directory)).close();
    const database = await PGlite.create(folder);
    await database.exec('CHECKPOINT');
    const tar = Buffer.from(await (await database.dumpDataDir('none')).arrayBuffer());
    await database.close();
    // Its three databases have most bytes in common, megabytes apart.
    const params = { [BROTLI_PARAM_LGWIN]: BROTLI_MAX_WINDOW_BITS, [BROTLI_PARAM_SIZE_HINT]: tar.length };
    return await promisify(brotliCompress)(tar, { params });
  } finally {
    await rm(directory, { recursive: true });
  }
}

if (import.meta.main) writeFileSync(NEW_DATABASE, await buildQueueDatabase());
