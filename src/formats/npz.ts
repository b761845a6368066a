import { join } from 'node:path';
import { EmpError } from '../core/errors.ts';
import { type ArchiveLimits, createEntryWriter, limitEntries, malformedEntry } from './archive-entry.ts';
import { readZipEntries } from './archive-zip.ts';

const SUFFIX = '.npy';

/**
 * Extracts the arrays of a `.npz` file (a zip of `name.npy` entries, stored or deflated) into an existing empty folder. The files are numbered,
 * since an array's name, such as `/layers/0/MatMul`, need not be a path.
 * @returns name of the array to its `.npy` file, in the archive's order
 * @throws EmpError malformed_npz, payload_too_large
 */
export async function extractNpz(
  npzPath: string,
  destination: string,
  limits: ArchiveLimits,
): Promise<ReadonlyMap<string, string>> {
  const paths = new Map<string, string>();
  const write = createEntryWriter(limits);
  try {
    for await (const entry of limitEntries(readZipEntries(npzPath), limits)) {
      const name = entry.name.slice(0, -SUFFIX.length);
      if (entry.type !== 'file' || !entry.name.endsWith(SUFFIX) || name === '')
        throw malformedEntry(entry.name, 'is not an array; np.savez writes entries named like weight.npy');
      if (paths.has(name)) throw malformedEntry(entry.name, 'is in the archive twice');
      const path = join(destination, `${paths.size}${SUFFIX}`);
      paths.set(name, path);
      await write(entry, path);
    }
  } catch (error) {
    if (!(error instanceof EmpError) || error.code !== 'malformed_archive') throw error;
    throw new EmpError('malformed_npz', error.message, error.findings);
  }
  if (paths.size === 0) throw new EmpError('malformed_npz', 'the archive holds no arrays');
  return paths;
}
