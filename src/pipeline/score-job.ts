import type { PruneJob } from './prune-job.ts';
import type { Scored } from './scored.ts';
import { ScoredStructures } from './structures/scored.ts';
import { ScoredWeights } from './weights/scored.ts';

/** Scores what the recipe prunes: the weights of a model, or its structures. */
export async function scoreJob(job: PruneJob): Promise<Scored> {
  const { granularity } = job.input.recipe;
  return granularity === 'weight' ? await ScoredWeights.score(job) : await ScoredStructures.score(job);
}
