import type { ModelInventory, Strangers } from '../formats/model.ts';
import { byName, type ModelRecord, type StoredFile } from '../storage/records.ts';
import type { Upload } from '../storage/store.ts';
import { openModelArchive } from './model-archive.ts';
import { describeFiles } from './received-files.ts';

const ARCHIVE = /\.(tar|zip)$/i;

export interface PreparedModel {
  readonly record: ModelRecord;
  readonly inventory: ModelInventory;
}

/** What clients are told of a model's tensors, beside `inventory.json`, which also says where they lie. */
export const TENSORS_DOCUMENT = 'tensors.json';

/**
 * Turns the files received under `upload.files` into a model ready to be published: unpacks of an archive what the model names, reads the
 * inventory and adds it as documents.
 * @param read what files of a folder hold
 * @param signal of the client: what it no longer waits for is not unpacked
 * @throws EmpError for files that are no model; the signal's reason
 */
export async function prepareModel(
  upload: Upload,
  received: readonly StoredFile[],
  maxBytes: number,
  read: (directory: string, names: readonly string[], strangers: Strangers) => Promise<ModelInventory>,
  signal: AbortSignal,
): Promise<PreparedModel> {
  const [only] = received;
  const isPacked = only && received.length === 1 && ARCHIVE.test(only.name);
  await using archive = isPacked ? await openModelArchive(upload, only.name, maxBytes, signal) : null;
  await archive?.outline();
  const names = archive?.names ?? received.map(({ name }) => name);
  const inventory = await read(upload.files, names.toSorted(), archive ? 'ignored' : 'refused');
  const files = [...((await archive?.unpack(inventory)) ?? received)].sort(byName);
  await upload.writeJson('inventory.json', inventory);
  const told = inventory.tensors.map(({ name, shape, dtype, role, prunable }) => {
    return { name, shape, dtype, role, prunable };
  });
  await upload.writeJson(TENSORS_DOCUMENT, told);
  const described = describeFiles('mdl', '', files);
  const record: ModelRecord = {
    ...described,
    format: inventory.format,
    name: inventory.files[0] ?? '',
    sha256: files.length === 1 ? files[0].sha256 : described.sha256,
    n_parameters: inventory.nParameters,
    files,
  };
  return { record, inventory };
}
