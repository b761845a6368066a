import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { weightCount } from '../../formats/model.ts';
import { MASKS_FILE } from '../artifact-names.ts';
import { hashRange } from '../hash-range.ts';
import type { ChosenMasks } from './choose-masks.ts';
import type { CompareInput, NamedModel } from './compare-input.ts';
import type { ComparedTensor, Comparison } from './comparison.ts';
import { masksOf } from './mask-overlap.ts';
import type { Matched } from './match-tensors.ts';
import type { ReadPair } from './read-pairs.ts';
import type { SizedTensor } from './sized-tensors.ts';
import { verdictOf } from './verdict-of-comparison.ts';

interface Found {
  readonly input: CompareInput;
  readonly comparable: Pick<Matched, 'onlyInOriginal' | 'onlyInPruned'>;
  readonly read: readonly ReadPair[];
  readonly sized: readonly SizedTensor[];
  readonly chosen: ChosenMasks;
  readonly signal: AbortSignal;
}

/** `compare.json`, of what was read and measured. */
export async function describeComparison(found: Found): Promise<Comparison> {
  const { original, pruned } = found.input;
  const { onlyInOriginal, onlyInPruned } = found.comparable;
  const tensors = await describeTensors(found);
  const facts = {
    total: totalOf(found, tensors),
    tensors,
    only_in_original: onlyInOriginal.map(({ name }) => name),
    only_in_pruned: onlyInPruned.map(({ name }) => name),
    evaluation: found.chosen.evaluation,
  };
  const sides = { original: sideOf(original), pruned: sideOf(pruned) };
  return { schema_version: 1, ...sides, verdict: verdictOf(facts), ...facts };
}

async function describeTensors({ input, read, chosen, signal }: Found): Promise<ComparedTensor[]> {
  await using file = await open(join(input.outputDirectory, MASKS_FILE));
  const tensors: ComparedTensor[] = [];
  for (const pair of read) {
    const own = chosen.masks.get(pair.original.name);
    const isMasked = pair.mask !== null && own !== undefined;
    tensors.push({
      ...describePair(pair),
      mask_sha256: isMasked ? await hashRange(file, pair.mask, signal) : null,
      masks: own ? masksOf([own]) : null,
    });
  }
  return tensors;
}

function totalOf(
  { comparable, read, sized, chosen }: Found,
  tensors: readonly ComparedTensor[],
): Comparison['total'] {
  const n = sized.reduce((sum, tensor) => sum + tensor.n, 0);
  const n_keep = sized.reduce((sum, { nKeep }) => sum + nKeep, 0);
  const among = read.filter(({ isSized }) => isSized);
  const sum = (amount: (pair: ReadPair) => number) => among.reduce((all, pair) => all + amount(pair), 0);
  const missing = comparable.onlyInOriginal.filter(({ prunable }) => prunable);
  const haveOneGraph = missing.length === 0 && !comparable.onlyInPruned.some(({ prunable }) => prunable);
  return {
    n,
    n_keep,
    n_missing: missing.reduce((all, tensor) => all + weightCount(tensor), 0),
    sparsity: 1 - n_keep / n,
    zeros_added: sum(({ difference }) => difference?.zerosAdded ?? 0),
    not_finite: read.reduce((all, { notFinite }) => all + (notFinite ?? 0), 0),
    values_changed: sum(({ difference }) => difference?.valuesChanged ?? 0),
    is_mask: haveOneGraph && tensors.every(({ change }) => change === 'unchanged' || change === 'masked'),
    masks: masksOf([...chosen.masks.values()]),
  };
}

function sideOf({ model: { inventory }, identity: { name, sha256, sizeBytes } }: NamedModel) {
  const { format, nParameters } = inventory;
  return { name, sha256, format, size_bytes: sizeBytes, n_parameters: nParameters };
}

function describePair(pair: ReadPair): Omit<ComparedTensor, 'masks' | 'mask_sha256'> {
  const { original, pruned, matchedBy, form, difference, n, nKeep, notFinite } = pair;
  return {
    name: original.name,
    pruned_name: pruned.name,
    matched_by: matchedBy,
    dtype: original.dtype,
    pruned_dtype: pruned.dtype,
    shape: [...original.shape],
    pruned_shape: [...pruned.shape],
    prunable: original.prunable,
    change: changeOf(pair),
    reason: form.kind === 'unlike' ? form.reason : null,
    removed: form.kind === 'smaller' ? form.axes.map((axis) => ({ ...axis })) : null,
    n,
    n_keep: nKeep,
    not_finite: notFinite,
    sparsity: nKeep === null || nKeep > n ? null : 1 - nKeep / n,
    zeros_added: difference?.zerosAdded ?? null,
    zeros_filled: difference?.zerosFilled ?? null,
    values_changed: difference?.valuesChanged ?? null,
  };
}

function changeOf({ form, difference }: ReadPair): ComparedTensor['change'] {
  if (form.kind === 'smaller') return 'removed';
  if (difference === null) return 'not_compared';
  if (difference.notFinite > 0) return 'not_finite';
  if (difference.valuesChanged + difference.zerosFilled > 0) return 'refitted';
  return difference.zerosAdded > 0 ? 'masked' : 'unchanged';
}
