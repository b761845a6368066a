import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SENSITIVITY_SPARSITIES, type SensitivityFigures } from '../report/sensitivity-figures.ts';
import { CalibrationJudge, type Distance } from './calibration-judge.ts';
import type { Judges } from './judges.ts';
import type { PruneJob } from './prune-job.ts';
import type { Scored } from './scored.ts';
import { ScoredWeights } from './weights/scored.ts';

/**
 * How far the model moves on the calibration data where one tensor alone is pruned, for each in turn at a few sparsities: its lowest scores go, nothing is repaired.
 * What single tensors cost does not add up to what all together do.
 * @returns null where the recipe does not ask for it
 */
export async function measureSensitivity(
  job: PruneJob,
  scored: Scored,
  judges: Judges | null,
): Promise<SensitivityFigures | null> {
  if (!job.input.recipe.sensitivity) return null;
  if (!(scored instanceof ScoredWeights)) throw new TypeError('the sensitivity of structures');
  job.clock.enter('evaluate');
  await using judge = await CalibrationJudge.open(job, judges);
  const { limits, decide } = await scored.counted();
  const all = limits.map(({ most }) => most);
  const directory = join(job.scratchDirectory, 'alone');
  const measure = async (counts: readonly number[]): Promise<Distance> => {
    try {
      return await judge.measure((await (await decide(counts)).write(directory)).model);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  };
  const tensors: { name: string; points: (Distance & { n_keep: number })[] }[] = [];
  for (const [i, { least, most }] of limits.entries()) {
    const points: (typeof tensors)[number]['points'] = [];
    for (const sparsity of SENSITIVITY_SPARSITIES) {
      const n_keep = Math.max(least, Math.round((1 - sparsity) * most));
      points.push({ n_keep, ...(await measure(all.with(i, n_keep))) });
    }
    tensors.push({ name: scored.names[i], points });
  }
  const by = judge.metricFor(tensors.flatMap(({ points }) => points));
  return {
    by,
    sparsities: [...SENSITIVITY_SPARSITIES],
    tensors: tensors.map(({ name, points }) => ({
      name,
      n_keep: points.map((point) => point.n_keep),
      distance: points.map((point) => point[by]),
    })),
  };
}
