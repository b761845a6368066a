import { randomBytes } from 'node:crypto';
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EmpError } from '../core/errors.ts';
import { bytesIn } from './bytes-index.ts';
import { isCode } from './durable-files.ts';
import { touch } from './time-index.ts';

/** A claim grows by as much as it is, so that a large upload asks a dozen times what others have. */
const LEAST_STEP = 2 ** 20;
const MOST_STEP = 64 * 2 ** 20;
const CLAIM = /^[0-9a-f]+\.claim\.\d+$/;

interface ClaimOptions {
  /** Of this process's uploads: whoever removes these removes the claim. */
  readonly directory: string;
  /** What the store may hold, in bytes; null for any amount. */
  readonly limit: number | null;
  /** What it holds, all claims included. */
  readonly used: () => Promise<number>;
}

/** What an upload takes of a limit that several processes keep. A claim is seen before it is weighed, so that two together take no more than there is. */
export class ClaimedBytes {
  readonly #options: ClaimOptions;
  readonly #name = `${randomBytes(8).toString('hex')}.claim`;
  #claimed = 0;
  #written = 0;

  constructor(options: ClaimOptions) {
    this.#options = options;
  }

  /** Claims the whole of what is about to come, before the first of it. @throws EmpError quota_exceeded */
  async announce(byteLength: number): Promise<void> {
    if (byteLength > this.#claimed) await this.#claim(byteLength, byteLength);
  }

  /** Counts bytes that are about to be written. @throws EmpError quota_exceeded */
  async write(byteLength: number): Promise<void> {
    this.#written += byteLength;
    if (this.#written <= this.#claimed) return;
    const step = Math.min(MOST_STEP, Math.max(LEAST_STEP, this.#claimed));
    await this.#claim(Math.max(this.#written, this.#claimed + step), this.#written);
  }

  async release(): Promise<void> {
    if (this.#claimed > 0) await rm(this.#path(this.#claimed), { force: true });
    this.#claimed = 0;
  }

  async #claim(wanted: number, needed: number): Promise<void> {
    const { limit, used } = this.#options;
    if (limit === null) return;
    const before = this.#claimed;
    for (const bytes of new Set([wanted, needed])) {
      await this.#resize(bytes);
      if ((await used()) <= limit) return;
    }
    await this.#resize(before);
    throw quotaExceeded(limit, (await used()) - before, needed);
  }

  async #resize(bytes: number): Promise<void> {
    if (this.#claimed === 0) await touch(this.#path(bytes));
    else if (bytes === 0) await rm(this.#path(this.#claimed), { force: true });
    else await rename(this.#path(this.#claimed), this.#path(bytes));
    this.#claimed = bytes;
  }

  #path(bytes: number): string {
    return join(this.#options.directory, `${this.#name}.${bytes}`);
  }
}

function quotaExceeded(limit: number, used: number, needed: number): EmpError {
  return new EmpError(
    'quota_exceeded',
    `${needed} bytes more than the ${used} that are stored or on their way are more than the ${limit} that may be: delete models, datasets or jobs that nobody needs any more`,
  );
}

/** What is claimed by the uploads of all processes. @param uploads the folder that has a folder for each process */
export async function claimedIn(uploads: string): Promise<number> {
  let claimed = 0;
  for (const owner of await readdir(uploads)) {
    // Of a process that ends at this moment.
    const names = await readdir(join(uploads, owner)).catch((error) => {
      if (isCode(error, 'ENOENT', 'ENOTDIR')) return [];
      throw error;
    });
    for (const name of names) if (CLAIM.test(name)) claimed += bytesIn(name);
  }
  return claimed;
}
