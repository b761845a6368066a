import { existsSync } from 'node:fs';
import { open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PATIENCE_MS } from '../client.ts';
import type { Scenario, Trial } from '../scenario.ts';

/** What the service keeps free unless told otherwise, and room for a few jobs and their files. */
const DISK_MEBIBYTES = 256 + 64;
/** Longer than all attempts of a job take. */
const FULL_MS = 10_000;
const PAGE = 4096;

/** Takes all of the data directory's disk but `leftBytes`. */
async function fill(directory: string, leftBytes: number, name = 'filler'): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const bytes = Math.max(0, bavail * bsize - leftBytes);
  await using file = await open(join(directory, name), 'w');
  const block = Buffer.alloc(2 ** 20, 1);
  try {
    for (let written = 0; written < bytes; written += block.byteLength)
      await file.write(block, 0, Math.min(block.byteLength, bytes - written));
    while (leftBytes === 0) await file.write(block, 0, PAGE);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

async function free(directory: string): Promise<void> {
  await rm(join(directory, 'filler'), { force: true });
  await rm(join(directory, 'last'), { force: true });
}

/** Fills the disk to the last byte; meanwhile jobs may be refused, and the client goes on asking. */
async function fullFor({ site, ledger }: Trial, ms: number): Promise<void> {
  ledger.injected();
  await fill(site.directory, 0, 'last');
  await sleep(ms);
  await free(site.directory);
}

async function mountObstacle(): Promise<string | null> {
  return process.getuid?.() === 0 ? null : 'only root can mount a small disk';
}

function onFullDisk(name: string, run: Scenario['run']): Scenario {
  return {
    part: 'disk',
    name,
    backend: 'redis',
    diskMebibytes: DISK_MEBIBYTES,
    honestFailures: ['insufficient_storage'],
    obstacle: mountObstacle,
    run,
  };
}

export const FULL_DISK: readonly Scenario[] = [
  onFullDisk('Disk full in upload', async ({ site, ledger }) => {
    await fill(site.directory, 2 ** 20);
    ledger.injected();
    const submitting = ledger.submit();
    await sleep(FULL_MS);
    await free(site.directory);
    await submitting;
  }),
  onFullDisk('Disk full in a job', async (trial) => {
    const { site, ledger } = trial;
    const id = await ledger.submit();
    await ledger.submit('scoring');
    await site.client.until(id, ({ progress }) => progress?.stage === 'curvature');
    await fullFor(trial, FULL_MS);
  }),
  onFullDisk('Disk full when the report is written', async (trial) => {
    const { site, ledger } = trial;
    const id = await ledger.submit();
    await site.client.until(id, ({ progress }) => progress?.stage === 'report');
    await fullFor(trial, FULL_MS);
  }),
  onFullDisk('Disk full when the result is written', async (trial) => {
    const { site, ledger } = trial;
    const id = await ledger.submit();
    await ledger.submit('scoring');
    // So little is left that it is taken between the files' place and the result.
    await fill(site.directory, 2 ** 21);
    const artifacts = join(site.directory, 'jobs', id, 'artifacts');
    const deadline = Date.now() + PATIENCE_MS;
    while (!existsSync(artifacts) && Date.now() < deadline) await sleep(1);
    await fullFor(trial, FULL_MS);
  }),
];
