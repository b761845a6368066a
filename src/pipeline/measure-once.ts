import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { amountOf } from './amount.ts';
import type { PruneJob } from './prune-job.ts';
import type { Decided, Scored } from './scored.ts';
import type { Visit } from './search-size.ts';

/**
 * Measures models at betas, in a scratch folder that is emptied after each; of choices of structures that are the same one is measured.
 * @param measure is given a folder to write into
 */
export function measureOnce<M extends object>(
  { input: { recipe }, scratchDirectory, signal }: PruneJob,
  scored: Scored,
  measure: (decided: Decided, directory: string) => Promise<M>,
): (beta: number) => Promise<Visit<M & { readonly beta: number }>> {
  const directory = join(scratchDirectory, 'sized');
  const known = new Map<string, M>();
  return async (beta) => {
    signal.throwIfAborted();
    const decided = await scored.decide(amountOf(recipe, beta));
    const { choice } = decided;
    const same = choice === null ? undefined : known.get(choice);
    if (same) return { point: { ...same, beta }, isNew: false };
    try {
      const measured = await measure(decided, directory);
      if (choice !== null) known.set(choice, measured);
      return { point: { ...measured, beta }, isNew: true };
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  };
}
