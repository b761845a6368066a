import { join } from 'node:path';
import { countKept } from '../../core/keep-mask.ts';
import { commonScale, rescale, type ScoreStatistics, sumOf } from '../../core/statistics.ts';
import type { ScoreRange } from '../../criteria/context.ts';
import { type FileSource, openFileSource } from '../../formats/file-source.ts';
import { MASKS_FILE } from '../artifact-names.ts';
import { keptMass } from '../weights/kept-mass.ts';
import type { WrittenTensor } from '../weights/write.ts';
import type { ComparedChoice, ComparedMasks } from './comparison.ts';

/** Bytes of a mask at a time. */
const MASK_BYTES = 1 << 20;

interface MaskPlace {
  readonly offset: number;
  readonly byteLength: number;
}

/** A tensor that kept its shape: its scores, and where the mask of the pruned model is. */
export interface MaskedTensor {
  readonly range: ScoreRange;
  readonly statistics: ScoreStatistics;
  readonly mask: MaskPlace;
  readonly nKeep: number;
}

/** What a choice keeps of a tensor. Masses are scaled as the tensor's statistics are. */
interface KeptOfTensor {
  readonly nKeep: number;
  readonly mass: number;
  /** That the pruned model keeps too. */
  readonly both: number;
}

/** The pruned model's mask of one tensor beside EMP's two choices. */
export interface TensorMasks {
  readonly tensor: MaskedTensor;
  readonly mass: number;
  readonly global: KeptOfTensor;
  readonly layer: KeptOfTensor;
}

/**
 * What EMP's choice keeps of each tensor, and how much of it the pruned model keeps too.
 * @param directories that hold the `masks.safetensors` of the pruned model, and of the choice
 */
export async function overlaps(
  tensors: readonly MaskedTensor[],
  chosen: readonly WrittenTensor[],
  directories: { readonly pruned: string; readonly choice: string },
): Promise<KeptOfTensor[]> {
  await using pruned = await openFileSource(join(directories.pruned, MASKS_FILE));
  await using choice = await openFileSource(join(directories.choice, MASKS_FILE));
  const all: KeptOfTensor[] = [];
  for (const [i, { mask }] of tensors.entries()) {
    const { nKeep, keptSum: mass, mask: place } = chosen[i];
    all.push({ nKeep, mass, both: await countBoth([pruned, mask], [choice, place]) });
  }
  return all;
}

/** What of the original's magnitudes the pruned model keeps. @param directory holds its `masks.safetensors` */
export async function massKept(
  { range, statistics, mask: { offset, byteLength } }: MaskedTensor,
  directory: string,
  signal: AbortSignal,
): Promise<number> {
  await using masks = await openFileSource(join(directory, MASKS_FILE));
  const mask = await masks.read(offset, offset + byteLength);
  return await keptMass(range, mask, statistics.scaleExponent, signal);
}

async function countBoth(one: [FileSource, MaskPlace], other: [FileSource, MaskPlace]): Promise<number> {
  const { byteLength } = one[1];
  let both = 0;
  for (let start = 0; start < byteLength; start += MASK_BYTES) {
    const end = Math.min(start + MASK_BYTES, byteLength);
    const [a, b] = await Promise.all(
      [one, other].map(([file, { offset }]) => file.read(offset + start, offset + end)),
    );
    both += countKept(a.map((byte, i) => byte & b[i]));
  }
  return both;
}

/** The figures of some tensors as one; null of none. */
export function masksOf(all: readonly TensorMasks[]): ComparedMasks | null {
  if (all.length === 0) return null;
  const scale = commonScale(all.map(({ tensor }) => tensor.statistics));
  const total = (amount: (masks: TensorMasks) => number) =>
    all.reduce((sum, masks) => sum + amount(masks), 0);
  const massOf = (amount: (masks: TensorMasks) => number) =>
    sumOf(
      Float64Array.from(all, (masks) =>
        rescale(amount(masks), scale - masks.tensor.statistics.scaleExponent),
      ),
    );
  const mass = massOf(({ tensor }) => tensor.statistics.sum);
  const share = (kept: number) => (mass > 0 ? Math.min(1, kept / mass) : null);
  const n_keep = total(({ tensor }) => tensor.nKeep);
  const choice = (scope: 'global' | 'layer'): ComparedChoice => {
    const nKeep = total((masks) => masks[scope].nKeep);
    const both = total((masks) => masks[scope].both);
    const either = nKeep + n_keep - both;
    return {
      n_keep: nKeep,
      preserved_mass: share(massOf((masks) => masks[scope].mass)),
      jaccard: either > 0 ? both / either : null,
      shared: n_keep > 0 ? both / n_keep : null,
    };
  };
  return {
    n: total(({ tensor }) => tensor.range.n),
    n_keep,
    preserved_mass: share(massOf((masks) => masks.mass)),
    global: choice('global'),
    layer: choice('layer'),
  };
}
