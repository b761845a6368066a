import { type ModelTensor, weightCount } from '../../formats/model.ts';
import type { Matched } from './match-tensors.ts';
import { type ReadPair, startOf } from './read-pairs.ts';
import { type ComparedModels, countWeights } from './tensor-difference.ts';

/** A tensor of the original that EMP's choice of the pruned model's size is made among. */
export interface SizedTensor {
  readonly tensor: ModelTensor;
  readonly n: number;
  /** How many of its weights that choice keeps at first: as many as the pruned model. */
  readonly nKeep: number;
  /** As of `ReadPair`. */
  readonly mask: ReadPair['mask'];
}

/**
 * What is chosen among, in the order of the original: of the pairs those that are sized, and the prunable tensors that the pruned model lacks. Of these it keeps nothing. Where it has others
 * instead, under names and at places of their own, these count in their place, shared by size: so no choice is larger than the pruned model, and one of a renamed copy is as large.
 */
export async function sizedTensors(
  read: readonly ReadPair[],
  { onlyInOriginal, onlyInPruned }: Pick<Matched, 'onlyInOriginal' | 'onlyInPruned'>,
  { original, pruned, signal }: ComparedModels,
): Promise<SizedTensor[]> {
  const paired = read.flatMap(({ original: tensor, n, nKeep, mask, isSized }): SizedTensor[] =>
    isSized && nKeep !== null ? [{ tensor, n, nKeep: Math.min(n, nKeep), mask }] : [],
  );
  const taken = new Set(paired.map(({ tensor }) => startOf(tensor)));
  const missing = onlyInOriginal.filter((tensor) => tensor.prunable && !taken.has(startOf(tensor)));
  let others = 0;
  if (missing.length > 0)
    for (const tensor of onlyInPruned)
      if (tensor.prunable) others += (await countWeights(tensor, pruned, signal)).nKeep;
  const nMissing = missing.reduce((sum, tensor) => sum + weightCount(tensor), 0);
  const share = Math.min(1, others / nMissing);
  const lacking = missing.map((tensor): SizedTensor => {
    const n = weightCount(tensor);
    return { tensor, n, nKeep: Math.floor(share * n), mask: null };
  });
  const order = new Map(original.inventory.tensors.map(({ name }, place) => [name, place]));
  const placeOf = ({ tensor: { name } }: SizedTensor) => order.get(name) ?? 0;
  return [...paired, ...lacking].sort((one, other) => placeOf(one) - placeOf(other));
}
