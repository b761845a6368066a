import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { type FileSource, openFileSource } from '../../formats/file-source.ts';
import type { ModelInventory } from '../../formats/model.ts';
import { createSafetensorsLayout } from '../../formats/safetensors/write.ts';
import { readModelInventory } from '../../graph/inventory.ts';
import { type Recipe, roundToOf } from '../../recipe/recipe.ts';
import { type Family, unitAxis } from '../../structure/families.ts';
import type { ReducibleModel } from '../../structure/reducible-model.ts';
import { MASKS_FILE } from '../artifact-names.ts';
import type { CountRule } from '../passes/count-rule.ts';
import type { PrunedModel } from '../subject.ts';
import { decideStructures, type StructureDecision } from './decide-structures.ts';

/** A model whose structures are scored, to be pruned by any amount. */
export interface ScoredStructures {
  readonly model: ReducibleModel;
  readonly dense: ModelInventory;
  readonly families: readonly Family[];
  readonly scores: readonly Float64Array[];
  readonly recipe: Recipe;
  readonly signal: AbortSignal;
}

/** What is left of a model. */
export interface PrunedStructures extends PrunedModel {
  readonly decision: StructureDecision;
}

export function decideBy(
  { families, scores, recipe }: Pick<ScoredStructures, 'families' | 'scores' | 'recipe'>,
  rule: CountRule,
  scope: Recipe['scope'],
): StructureDecision {
  return decideStructures({ families, scores, rule, scope, roundTo: roundToOf(recipe) });
}

/** Share of the structures that go. */
export function sparsityOf({ families }: StructureDecision): number {
  const n = families.reduce((sum, { kept }) => sum + kept.length, 0);
  return 1 - families.reduce((sum, { nKeep }) => sum + nKeep, 0) / n;
}

/** Decides by `rule` and writes the smaller model to `directory`; where that is null nothing is written, and the inventory is the dense model's. */
export async function pruneStructures(
  scored: ScoredStructures,
  rule: CountRule,
  scope: Recipe['scope'],
  directory: string | null,
): Promise<PrunedStructures> {
  const { model, dense, signal } = scored;
  const decision = decideBy(scored, rule, scope);
  const sparsity = sparsityOf(decision);
  if (directory === null) return { decision, sparsity, inventory: dense, keptUnits: new Map() };
  const removed = decision.families.flatMap(({ family, kept }) =>
    family.structures.filter((_, i) => !kept[i]).map(({ root }) => root),
  );
  const { files, kept } = await model.write(new Set(removed), directory, signal);
  const tensors = new Map(dense.tensors.map((tensor) => [tensor.name, tensor]));
  const keptUnits = [...kept].flatMap(([name, positions]): [string, readonly number[] | null][] => {
    const axis = unitAxis(tensors.get(name));
    return axis === null ? [] : [[name, positions[axis]]];
  });
  return {
    decision,
    sparsity,
    inventory: await readInventory(directory, files),
    keptUnits: new Map(keptUnits),
  };
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

/** Bit `i & 7` of byte `i >> 3` says whether structure i is kept. */
export function packMask(kept: readonly boolean[]): Uint8Array {
  const mask = new Uint8Array(Math.ceil(kept.length / 8));
  for (const [i, keep] of kept.entries()) mask[i >> 3] |= Number(keep) << (i & 7);
  return mask;
}

async function readInventory(directory: string, files: readonly string[]): Promise<ModelInventory> {
  await using opened = new AsyncDisposableStack();
  const sources = new Map<string, FileSource>();
  for (const file of files) sources.set(file, opened.use(await openFileSource(join(directory, file))));
  return await readModelInventory(sources);
}
