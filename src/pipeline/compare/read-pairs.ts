import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { type ModelTensor, weightCount } from '../../formats/model.ts';
import { createSafetensorsLayout } from '../../formats/safetensors/write.ts';
import { MASKS_FILE } from '../artifact-names.ts';
import type { FormedPair } from './check-comparable.ts';
import { type ComparedModels, countWeights, type Difference, differenceOf } from './tensor-difference.ts';

/** A pair whose weights have been read. */
export interface ReadPair extends FormedPair {
  /** Weights of the original. */
  readonly n: number;
  /** Weights of the pruned model that are not zero; null where they cannot be compared. */
  readonly nKeep: number | null;
  /** Of these, those that are NaN or infinite, and were not; null likewise. */
  readonly notFinite: number | null;
  /** Weight by weight; null where the shape is another. */
  readonly difference: Difference | null;
  /** Where the mask of the pruned model is in its `masks.safetensors`; null where the shape is another. */
  readonly mask: { readonly offset: number; readonly byteLength: number } | null;
  /** Whether EMP's choice of the same size is made among its weights. */
  readonly isSized: boolean;
}

/**
 * Reads the weights of all pairs, and writes the pruned model's keep masks of those of one shape to `masks.safetensors`, by the names of the original. EMP chooses among the prunable tensors, and those that
 * gained zeros beside them.
 */
export async function readPairs(
  pairs: readonly FormedPair[],
  models: ComparedModels,
  outputDirectory: string,
): Promise<ReadPair[]> {
  const masked = pairs.filter(({ form }) => form.kind === 'same').map(({ original }) => original);
  const layout = createSafetensorsLayout(
    masked.map((tensor) => ({
      name: tensor.name,
      dtype: 'uint8',
      shape: [Math.ceil(weightCount(tensor) / 8)],
    })),
  );
  const places = new Map(layout.tensors.map((place) => [place.name, place]));
  await using file = await open(join(outputDirectory, MASKS_FILE), 'w');
  await file.write(layout.header);
  await file.truncate(layout.fileByteLength);
  const taken = new Set(masked.filter(({ prunable }) => prunable).map(startOf));
  const read: ReadPair[] = [];
  for (const pair of pairs) {
    models.signal.throwIfAborted();
    read.push(await readPair(pair, models, file, places.get(pair.original.name)?.offset ?? 0, taken));
  }
  return read;
}

async function readPair(
  pair: FormedPair,
  models: ComparedModels,
  masks: FileHandle,
  offset: number,
  taken: ReadonlySet<string>,
): Promise<ReadPair> {
  const { original, pruned, form } = pair;
  const n = weightCount(original);
  const nothing = { ...pair, n, nKeep: null, notFinite: null, difference: null, mask: null, isSized: false };
  if (form.kind === 'unlike' && !form.isCounted) return nothing;
  if (form.kind !== 'same') {
    const counts = await countWeights(pruned, models.pruned, models.signal);
    return { ...nothing, ...counts, isSized: original.prunable };
  }
  const difference = await differenceOf(pair, models, async (keepMask, start) => {
    await masks.write(keepMask, 0, keepMask.byteLength, offset + start / 8);
  });
  const { nKeep, notFinite, zerosAdded } = difference;
  // Bytes that two names share have one mask.
  const isPruned = original.prunable || (zerosAdded > 0 && !taken.has(startOf(original)));
  const mask = { offset, byteLength: Math.ceil(n / 8) };
  return { ...pair, n, nKeep, notFinite, difference, mask, isSized: isPruned };
}

/** Where the bytes of a tensor begin, which names that share them have in common. */
export function startOf({ name, data }: ModelTensor): string {
  const [run] = data?.runs ?? [];
  return run ? `${run.offset} of ${run.file}` : name;
}
