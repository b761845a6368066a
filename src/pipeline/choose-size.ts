import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { sizeTargetOf } from '../recipe/target.ts';
import { amountOf } from './amount.ts';
import { sizeOfModel } from './model-size.ts';
import type { PruneJob } from './prune-job.ts';
import type { Repairs } from './repairs.ts';
import type { Decided, Scored } from './scored.ts';
import { type FoundSize, type SizePoint, searchSize } from './search-size.ts';

export type SizeTarget = NonNullable<ReturnType<typeof sizeTargetOf>>;

/** How the beta of a target of size was chosen. */
export interface ChosenSize {
  readonly target: SizeTarget;
  readonly found: FoundSize;
  /** The size of the model at a beta. */
  at(beta: number): Promise<number>;
}

/**
 * The largest beta whose model is within a target of size. Nothing is evaluated: where the size follows from how much is kept, as of weights that are zeroed, nothing but keep masks is
 * written; else the model is, repaired where that may change its size, measured and removed.
 * @throws EmpError as `sizeOfModel`, and what repairs throw
 */
export async function chooseSize(
  target: SizeTarget,
  job: PruneJob,
  scored: Scored,
  repairs: Repairs,
): Promise<ChosenSize> {
  const { input, scratchDirectory, signal } = job;
  const { model: dense, recipe, evaluation, calibration, runtime } = input;
  const directory = join(scratchDirectory, 'sized');
  const known = new Map<string, Omit<SizePoint, 'beta'>>();
  const context = { samples: evaluation ?? calibration, runtime, signal };

  const measure = async ({ count, write }: Decided): Promise<Omit<SizePoint, 'beta'>> => {
    if (count && target.name === 'max_parameters') {
      const { n, nKeep } = await count(directory);
      return { sparsity: 1 - nKeep / n, size: dense.inventory.nParameters - (n - nKeep) };
    }
    const pruned = await write(directory);
    if (target.name === 'max_compressed_bytes') await repairs.apply(pruned);
    return { sparsity: pruned.sparsity, size: await sizeOfModel(target.name, pruned.model, context) };
  };
  const at = async (beta: number): Promise<SizePoint & { readonly isNew: boolean }> => {
    signal.throwIfAborted();
    const decided = await scored.decide(amountOf(recipe, beta), recipe.scope);
    const { choice } = decided;
    const same = choice === null ? undefined : known.get(choice);
    if (same) return { beta, ...same, isNew: false };
    try {
      const measured = await measure(decided);
      if (choice !== null) known.set(choice, measured);
      return { beta, ...measured, isNew: true };
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  };
  return {
    target,
    found: await searchSize(target.limit, at),
    at: async (beta) => (await at(beta)).size,
  };
}
