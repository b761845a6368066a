import { createWriteStream } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { EmpError } from '../core/errors.ts';
import { openNpz } from '../formats/npz.ts';
import type { ApiClient, PartFile } from './api-client.ts';
import { EXIT, fileRefusal, Refusal } from './refusal.ts';

/** Samples as flags give them. */
export interface GivenSamples {
  /** The flag that names the files, for what is wrong with them. */
  readonly flag: string;
  /** A `.npz` of inputs and labels, or `.npy` files, one an input. */
  readonly files: readonly string[];
  readonly labels: string | undefined;
}

/** What an array of labels is called in a `.npz`. */
const LABELS = /^(labels?|targets?|classes|y(_\w+)?)$/i;
const LIMITS = { maxBytes: 64 * 2 ** 30, maxFiles: 4096 };

/** Before anything starts. @throws Refusal for what is no file */
export async function requireFiles(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const found = await stat(path).catch((error) => {
      throw error.code === 'ENOENT'
        ? new Refusal(EXIT.badInput, `there is no file ${path}`)
        : fileRefusal(error, `cannot read ${path}`);
    });
    if (!found.isFile()) throw new Refusal(EXIT.badInput, `${path} is not a file`);
  }
}

/** Uploads a model of one or several files. Resolves to its id. */
export async function uploadModel(client: ApiClient, paths: readonly string[]): Promise<string> {
  const files = paths.map((path) => ({ part: 'file', path }));
  return (await client.upload<{ id: string }>('/v1/models', files, '')).id;
}

/** Uploads samples. Resolves to the dataset's id; null where no file was given. @throws Refusal naming the flag */
export async function uploadSamples(client: ApiClient, given: GivenSamples): Promise<string | null> {
  const { flag, files, labels } = given;
  if (files.length === 0 && labels === undefined) return null;
  const parts = await partsOf(client, given);
  if (labels !== undefined) parts.push({ part: 'labels', path: labels });
  return (await client.upload<{ id: string }>('/v1/datasets', parts, flag)).id;
}

async function partsOf(client: ApiClient, { flag, files }: GivenSamples): Promise<PartFile[]> {
  const parts: PartFile[] = [];
  for (const path of files) {
    if (path.endsWith('.npz')) parts.push(...(await unpack(path, join(client.scratch, flag.slice(2)), flag)));
    else parts.push({ part: 'inputs', path });
  }
  return parts;
}

/** The arrays of a `.npz`: labels by their name, all others inputs. A single array is an input, whatever it is called. */
async function unpack(path: string, folder: string, flag: string): Promise<PartFile[]> {
  try {
    await mkdir(folder, { recursive: true });
    await using npz = await openNpz(path, LIMITS);
    const parts: PartFile[] = [];
    for (const [i, { name, open }] of npz.entries.entries()) {
      const unpacked = join(folder, `${i}.npy`);
      await pipeline(Readable.from(open()), createWriteStream(unpacked));
      const isLabels = npz.entries.length > 1 && LABELS.test(name);
      parts.push({ part: isLabels ? 'labels' : 'inputs', path: unpacked, name: `${name}.npy` });
    }
    return parts;
  } catch (error) {
    if (error instanceof EmpError) throw new Refusal(EXIT.badInput, `${flag} ${path}: ${error.message}`);
    throw fileRefusal(error, `cannot unpack ${path}`);
  }
}
