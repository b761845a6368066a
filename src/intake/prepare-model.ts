import type { Strangers } from '../formats/model.ts';
import { byName, type ModelRecord, type StoredFile } from '../storage/records.ts';
import type { Upload } from '../storage/store.ts';
import type { ModelOutline } from './analysis-tasks.ts';
import { openModelArchive } from './model-archive.ts';
import { describeFiles } from './received-files.ts';
import type { UploadFolders } from './upload-documents.ts';

const ARCHIVE = /\.(tar|zip)$/i;

/**
 * Turns the files received under `upload.files` into a model ready to be published: unpacks of an archive what the model names, reads the
 * inventory and adds it as documents.
 * @param read what files of the upload hold, documents added
 * @param signal of the client: what it no longer waits for is not unpacked
 * @throws EmpError for files that are no model; the signal's reason
 */
export async function prepareModel(
  upload: Upload,
  received: readonly StoredFile[],
  maxBytes: number,
  read: (upload: UploadFolders, names: readonly string[], strangers: Strangers) => Promise<ModelOutline>,
  signal: AbortSignal,
): Promise<ModelRecord> {
  const [only] = received;
  const isPacked = only && received.length === 1 && ARCHIVE.test(only.name);
  await using archive = isPacked ? await openModelArchive(upload, only.name, maxBytes, signal) : null;
  await archive?.outline();
  const names = archive?.names ?? received.map(({ name }) => name);
  const { directory, files: folder } = upload;
  const outline = await read({ directory, files: folder }, names.toSorted(), archive ? 'ignored' : 'refused');
  const files = [...((await archive?.unpack(outline)) ?? received)].sort(byName);
  const described = describeFiles('mdl', '', files);
  return {
    ...described,
    format: outline.format,
    name: outline.files[0] ?? '',
    sha256: files.length === 1 ? files[0].sha256 : described.sha256,
    n_parameters: outline.nParameters,
    files,
  };
}
