import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EmpError } from '../core/errors.ts';
import { openNpz } from '../formats/npz.ts';
import type { ScoreFiles } from '../formats/score-file.ts';
import type { ScoresRecord, StoredFile } from '../storage/records.ts';
import type { Upload } from '../storage/store.ts';
import type { AnalysisTasks } from './analysis-tasks.ts';
import { describeFiles, type FileRule, MAX_FILES } from './received-files.ts';
import { storeFile } from './store-file.ts';

/** Where the score file is to be received. */
export function scoreFile({ files }: Upload): FileRule {
  return { directory: join(files, 'scores') };
}

/**
 * Turns the score file received where `scoreFile` says into a dataset ready to be published: an `.npz` is unpacked, what the arrays are and
 * where they lie is added as documents.
 * @param read what score files hold, documents added
 * @param signal of the client: what it no longer waits for is not unpacked
 * @throws EmpError for a file that holds no score arrays; the signal's reason
 */
export async function prepareScores(
  upload: Upload,
  received: readonly StoredFile[],
  maxBytes: number,
  read: (ask: AnalysisTasks['scores']['ask']) => Promise<unknown>,
  signal: AbortSignal,
): Promise<ScoresRecord> {
  const [file, ...others] = received;
  if (!file || others.length > 0) {
    throw new EmpError(
      'invalid_request',
      'give one file of scores: .safetensors or .npz, one array per tensor',
      [{ path: 'scores', message: `must be one file, got ${received.length}` }],
    );
  }
  const { directory, files } = upload;
  const opened = await openScores(upload, file, maxBytes, signal);
  await read({ upload: { directory, files }, files: opened, name: file.name });
  return { ...describeFiles('dat', 'scores\n', received), kind: 'scores', sha256: file.sha256 };
}

async function openScores(
  upload: Upload,
  file: StoredFile,
  maxBytes: number,
  signal: AbortSignal,
): Promise<ScoreFiles> {
  const { directory: folder } = scoreFile(upload);
  const path = join(folder, file.name);
  if (file.name.endsWith('.safetensors')) return { format: 'safetensors', path };
  if (!file.name.endsWith('.npz')) {
    throw new EmpError('unsupported_media_type', `scores come as .safetensors or .npz, not as ${file.name}`, [
      { path: 'scores', message: 'must be a .safetensors or .npz file' },
    ]);
  }
  const packed = join(upload.directory, 'packed.npz');
  await rename(path, packed);
  await rm(folder, { recursive: true });
  await mkdir(folder);
  const paths = new Map<string, string>();
  {
    await using npz = await openNpz(packed, { maxBytes, maxFiles: MAX_FILES }, signal);
    await upload.ensureRoom(npz.byteLength);
    for (const { name, open } of npz.entries) {
      // Numbered, since an array's name need not be a path.
      const path = join(folder, `${paths.size}.npy`);
      await storeFile(open(), path, upload, signal);
      paths.set(name, path);
    }
  }
  await rm(packed);
  return { format: 'npy', paths };
}
