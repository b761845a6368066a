import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { type ModelInventory, weightCount } from '../formats/model.ts';
import { countMacs } from '../runtime/count-macs.ts';
import { readDocument, TENSORS_DOCUMENT, type UploadFolders, writeDocument } from './upload-documents.ts';

/** Of the processes that look into models. */
const RUNTIME = { providers: ['cpu'], threads: 1 } as const;

/**
 * Adds to the tensors that clients are told of what is multiplied by each, and returns the total: for one sample, as far as the declared shapes tell without running the model. Null for what they do not.
 * @throws EmpError insufficient_storage
 */
export async function countUploadedModel(upload: UploadFolders, signal: AbortSignal): Promise<number | null> {
  const inventory = await readDocument<ModelInventory>(upload, 'inventory.json');
  const model = { directory: upload.files, inventory };
  const { layers, total } = await countMacs({ model, runtime: RUNTIME, signal }, null);
  if (total === null) return null;
  const counts = new Map(inventory.tensors.map((tensor) => [tensor.name, weightCount(tensor)]));
  const macs = new Map<string, number>();
  for (const { products } of layers) {
    for (const { macs: own, weights } of products) {
      const all = weights.reduce((sum, name) => sum + (counts.get(name) ?? 0), 0);
      // Of an operand that is made of several weights each has its part.
      for (const name of weights) {
        const part = all === 0 ? 0 : (own * (counts.get(name) ?? 0)) / all;
        macs.set(name, (macs.get(name) ?? 0) + part);
      }
    }
  }
  const told = inventory.tensors.map(({ name, shape, dtype, role, prunable }) => {
    const own = macs.get(name);
    return { name, shape, dtype, role, prunable, macs: own === undefined ? null : Math.round(own) };
  });
  const temporary = `${TENSORS_DOCUMENT}.counted`;
  await writeDocument(upload, temporary, told);
  await rename(join(upload.directory, temporary), join(upload.directory, TENSORS_DOCUMENT));
  return total;
}
