import { EmpError } from '../core/errors.ts';
import { type Archive, type ArchiveFile, type ArchiveLimits, openEntries } from './archive.ts';
import { malformedEntry } from './archive-entry.ts';

const SUFFIX = '.npy';

/**
 * Opens a `.npz` file: a zip of `name.npy` entries, stored or deflated. Its entries are called like the arrays, which need not be paths:
 * `/layers/0/MatMul`. Nothing has been unpacked.
 * @throws EmpError malformed_npz, payload_too_large; so does what reads the entries
 */
export async function openNpz(
  path: string,
  limits: ArchiveLimits,
  signal?: AbortSignal,
): Promise<Archive<ArchiveFile>> {
  await using opened = new AsyncDisposableStack();
  try {
    const { entries, byteLength } = opened.use(await openEntries(path, 'zip', limits, signal));
    const arrays = new Map<string, ArchiveFile>();
    for (const entry of entries) {
      const name = entry.name.slice(0, -SUFFIX.length);
      if (entry.type !== 'file' || !entry.name.endsWith(SUFFIX) || name === '')
        throw malformedEntry(entry.name, 'is not an array; np.savez writes entries named like weight.npy');
      if (arrays.has(name)) throw malformedEntry(entry.name, 'is in the archive twice');
      arrays.set(name, { name, byteLength: entry.byteLength, open: () => readArray(entry) });
    }
    if (arrays.size === 0) throw new EmpError('malformed_npz', 'the archive holds no arrays');
    const kept = opened.move();
    return { entries: [...arrays.values()], byteLength, [Symbol.asyncDispose]: () => kept.disposeAsync() };
  } catch (error) {
    throw asNpzError(error);
  }
}

async function* readArray({ open }: Pick<ArchiveFile, 'open'>): AsyncGenerator<Uint8Array> {
  try {
    yield* open();
  } catch (error) {
    throw asNpzError(error);
  }
}

function asNpzError(error: unknown): unknown {
  if (!(error instanceof EmpError) || error.code !== 'malformed_archive') return error;
  return new EmpError('malformed_npz', error.message, error.findings);
}
