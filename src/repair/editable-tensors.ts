import { isFloatDtype } from '../core/dtype.ts';
import type { ModelInventory, ModelTensor } from '../formats/model.ts';

/** What is asked of an inventory's tensors by name, again and again. */
interface TensorIndex {
  readonly byName: ReadonlyMap<string, ModelTensor>;
  /** Another tensor that has bytes of one, by its name. */
  readonly sharers: ReadonlyMap<string, string>;
}

const indexes = new WeakMap<ModelInventory, TensorIndex>();

export function tensorOf(inventory: ModelInventory, name: string): ModelTensor | undefined {
  return indexOf(inventory).byName.get(name);
}

/** Whether a tensor is stored as floats. */
export function isStoredAsFloats(name: string, inventory: ModelInventory): boolean {
  const tensor = tensorOf(inventory, name);
  return tensor !== undefined && tensor.data !== null && isFloatDtype(tensor.dtype);
}

/** Why a tensor cannot be given other numbers, with it as subject; null where it can. */
export function reasonNotToEdit(name: string, inventory: ModelInventory): string | null {
  const { byName, sharers } = indexOf(inventory);
  if (!isStoredAsFloats(name, inventory)) return 'is not stored as floats that can be edited in place';
  if (byName.get(name)?.data?.encoding === 'varint')
    return 'keeps 16-bit floats as varints, whose length depends on the number';
  const other = sharers.get(name);
  return other === undefined ? null : `shares its bytes with ${other}`;
}

function indexOf(inventory: ModelInventory): TensorIndex {
  const known = indexes.get(inventory);
  if (known) return known;
  const byName = new Map(inventory.tensors.map((tensor) => [tensor.name, tensor]));
  const index = { byName, sharers: findSharers(inventory.tensors) };
  indexes.set(inventory, index);
  return index;
}

/** In the order of bytes: what overlaps anything overlaps what reaches farthest before it, or comes next. */
function findSharers(tensors: readonly ModelTensor[]): Map<string, string> {
  const runs = tensors
    .flatMap(({ name, data }) =>
      (data?.runs ?? []).map((run) => ({ name, ...run, end: run.offset + run.byteLength })),
    )
    .sort((a, b) => (a.file === b.file ? a.offset - b.offset : a.file < b.file ? -1 : 1));
  const sharers = new Map<string, string>();
  let farthest = runs[0];
  for (const run of runs.slice(1)) {
    const isBehind = run.file !== farthest.file || run.offset >= farthest.end;
    if (!isBehind && run.name !== farthest.name) {
      if (!sharers.has(run.name)) sharers.set(run.name, farthest.name);
      if (!sharers.has(farthest.name)) sharers.set(farthest.name, run.name);
    }
    if (isBehind || run.end > farthest.end) farthest = run;
  }
  return sharers;
}
