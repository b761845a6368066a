import { constants } from 'node:fs';
import { chmod, copyFile, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { packMask } from '../../core/keep-mask.ts';
import type { KeptPositions } from '../../formats/gather.ts';
import { createSafetensorsLayout } from '../../formats/safetensors/write.ts';
import type { StoredModel } from '../../formats/stored-model.ts';
import { readStoredModel } from '../../graph/inventory.ts';
import type { EditedInputs } from '../../graph/passes/join-constants.ts';
import { keptUnits } from '../../structure/families.ts';
import type { ReducibleModel } from '../../structure/reducible-model.ts';
import { MASKS_FILE } from '../artifact-names.ts';
import type { PrunedModel } from '../scored.ts';
import type { StructureDecision } from './decide.ts';

/** Writes the model without the structures that are not kept to `directory`, where all are the dense model as it is. What is to be edited no two nodes share, as far as copies were made of it. */
export async function removeStructures(
  model: ReducibleModel,
  dense: StoredModel,
  { families, sparsity }: StructureDecision,
  directory: string,
  signal: AbortSignal,
  isEdited: EditedInputs,
): Promise<PrunedModel> {
  const removed = families.flatMap(({ family, kept }) =>
    family.structures.filter((_, i) => !kept[i]).map(({ root }) => root),
  );
  if (removed.length === 0)
    return { model: await copyModel(dense, directory), sparsity, keptUnits: new Map() };
  const { files, kept } = await model.write(new Set(removed), directory, signal, isEdited);
  const pruned = await readStoredModel(directory, files);
  return { model: pruned, sparsity, keptUnits: keptUnitsOf(dense, kept) };
}

/** The output units that are left of the layers of weights, by name, as `keptUnits`; of those whose units lie along whole axes. */
export function keptUnitsOf(
  { inventory }: StoredModel,
  kept: ReadonlyMap<string, KeptPositions>,
): Map<string, readonly number[] | null> {
  const tensors = new Map(inventory.tensors.map((tensor) => [tensor.name, tensor]));
  const units = [...kept].flatMap(([name, positions]): [string, readonly number[] | null][] => {
    const tensor = tensors.get(name);
    const left = tensor && keptUnits(tensor, positions);
    return left === undefined ? [] : [[name, left]];
  });
  return new Map(units);
}

async function copyModel({ directory, inventory }: StoredModel, target: string): Promise<StoredModel> {
  for (const file of inventory.files) {
    const to = join(target, file);
    await mkdir(dirname(to), { recursive: true });
    await copyFile(join(directory, file), to, constants.COPYFILE_FICLONE);
    await chmod(to, 0o644); // a copy of a read-only file is read-only, and repairs write
  }
  return { directory: target, inventory };
}

/** Writes `masks.safetensors`: of every family one bit a structure, 1 = keep, as `keepMask` packs them. */
export async function writeStructureMasks({ families }: StructureDecision, directory: string): Promise<void> {
  const layout = createSafetensorsLayout(
    families.map(({ family: { name }, kept }) => ({
      name,
      dtype: 'uint8',
      shape: [Math.ceil(kept.length / 8)],
    })),
  );
  await using file = await open(join(directory, MASKS_FILE), 'w');
  await file.writeFile(layout.header);
  for (const [i, { kept }] of families.entries())
    await file.write(packMask(kept), 0, null, layout.tensors[i].offset);
  await file.truncate(layout.fileByteLength);
}
