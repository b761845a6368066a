import { readStoredModel } from '../graph/inventory.ts';
import type { AnalysisTasks, ModelOutline } from './analysis-tasks.ts';
import { TENSORS_DOCUMENT, writeDocument } from './upload-documents.ts';

/** Reads what the files of an upload hold, and adds its inventory as documents. Throws as `readModelInventory`, and `insufficient_storage`. */
export async function readUploadedModel({
  upload,
  names,
  strangers,
}: AnalysisTasks['read']['ask']): Promise<ModelOutline> {
  const { inventory } = await readStoredModel(upload.files, names, strangers);
  const told = inventory.tensors.map(({ name, shape, dtype, role, prunable }) => {
    return { name, shape, dtype, role, prunable, macs: null };
  });
  await writeDocument(upload, 'inventory.json', inventory);
  await writeDocument(upload, TENSORS_DOCUMENT, told);
  const { format, files, nParameters } = inventory;
  return { format, files, nParameters };
}
