import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { diskFault } from '../storage/disk-faults.ts';
import type { Upload } from '../storage/store.ts';

/** Of an upload what another process can be told: children read and write what is said of the files, which grows with their tensors. */
export type UploadFolders = Pick<Upload, 'directory' | 'files'>;

/** What clients are told of a model's tensors, beside `inventory.json`, which also says where they lie. */
export const TENSORS_DOCUMENT = 'tensors.json';

/** What clients are told of a dataset's arrays, beside the document that also says where they lie. */
export const SHAPES_DOCUMENT = 'shapes.json';

/** As `Upload.writeJson`, in another process; publishing syncs it. @throws EmpError insufficient_storage, not_ready */
export async function writeDocument(
  { directory }: UploadFolders,
  name: string,
  value: unknown,
): Promise<void> {
  try {
    await writeFile(join(directory, name), JSON.stringify(value));
  } catch (error) {
    throw diskFault(error) ?? error;
  }
}

export async function readDocument<T>({ directory }: UploadFolders, name: string): Promise<T> {
  return JSON.parse(await readFile(join(directory, name), 'utf8'));
}
