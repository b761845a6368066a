import type { sizeTargetOf } from '../recipe/target.ts';
import { measureOnce } from './measure-once.ts';
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
  const { model: dense, evaluation, calibration, runtime } = job.input;
  const context = { samples: evaluation ?? calibration, runtime, signal: job.signal };
  const measure = async ({ count, write }: Decided, directory: string): Promise<Omit<SizePoint, 'beta'>> => {
    if (count && target.name === 'max_parameters') {
      const { n, nKeep } = await count(directory);
      return { sparsity: 1 - nKeep / n, size: dense.inventory.nParameters - (n - nKeep) };
    }
    const pruned = await write(directory);
    if (target.name === 'max_compressed_bytes') await repairs.apply(pruned);
    return { sparsity: pruned.sparsity, size: await sizeOfModel(target.name, pruned.model, context) };
  };
  const at = measureOnce(job, scored, measure);
  return {
    target,
    found: await searchSize(target.limit, at),
    at: async (beta) => (await at(beta)).point.size,
  };
}
