import { byName, type ModelRecord, type StoredFile } from '../storage/records.ts';
import type { Upload } from '../storage/store.ts';
import { openModelArchive } from './model-archive.ts';
import type { ModelReader } from './model-reader.ts';
import { describeFiles } from './received-files.ts';
import type { Asker } from './slots.ts';

const ARCHIVE = /\.(tar|zip)$/i;

/**
 * Turns the files received under `upload.files` into a model ready to be published: unpacks of an archive what the model names, has the
 * inventory read and added as documents, and its multiply-accumulates counted.
 * @param asker of the client: what it no longer waits for is not unpacked
 * @throws EmpError for files that are no model; the signal's reason
 */
export async function prepareModel(
  upload: Upload,
  received: readonly StoredFile[],
  maxBytes: number,
  reader: Pick<ModelReader, 'read' | 'count'>,
  asker: Asker,
): Promise<ModelRecord> {
  const { signal } = asker;
  const [only] = received;
  const isPacked = only && received.length === 1 && ARCHIVE.test(only.name);
  await using archive = isPacked ? await openModelArchive(upload, only.name, maxBytes, signal) : null;
  await archive?.outline();
  const names = archive?.names ?? received.map(({ name }) => name);
  const folders = { directory: upload.directory, files: upload.files };
  const outline = await reader.read(folders, names.toSorted(), archive ? 'ignored' : 'refused', asker);
  const files = [...((await archive?.unpack(outline)) ?? received)].sort(byName);
  const described = describeFiles('mdl', '', files);
  return {
    ...described,
    format: outline.format,
    name: outline.files[0] ?? '',
    sha256: files.length === 1 ? files[0].sha256 : described.sha256,
    n_parameters: outline.nParameters,
    n_macs: outline.format === 'onnx' ? await reader.count(folders, outline.files[0], asker) : null,
    files,
  };
}
