import { elementCount } from '../formats/model.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import { comparesOutputs } from '../recipe/needs.ts';
import type { UsedInput } from './prune-job.ts';
import { MAX_EVALUATIONS } from './search.ts';

/** Scores are read about twice before they are decided and once to be written, and what was written is hashed. */
const READINGS = 4;

/**
 * Bytes that a job will go through, roughly: of the model and every candidate, and of the data once for each model that runs on it.
 * @param repairPasses over the calibration data, that the repairs of one model take
 */
export function plannedWork(
  { identity: { sizeBytes }, recipe, calibration, evaluation }: UsedInput,
  repairPasses: number,
): number {
  const pass = calibration ? sampleWork(calibration) * calibration.nSamples : 0;
  const calibrated = pass * Math.max(1, recipe.hessian_probes);
  if (!evaluation) return READINGS * sizeBytes + calibrated + pass * repairPasses;
  // The job's own model and the uniform baseline, whatever the recipe.
  const models = 2 + (recipe.sweep_betas?.length ?? 0) + (recipe.target ? MAX_EVALUATIONS - 1 : 0);
  const runs = evaluation.labels && comparesOutputs(recipe) ? 2 : 1;
  const evaluated = runs * sampleWork(evaluation) * evaluation.nSamples;
  const measured = evaluated * (1 + recipe.repair.length) + pass * repairPasses;
  return models * (READINGS * sizeBytes + measured) + evaluated + calibrated;
}

/** Elements of one sample over all inputs: a measure of work like bytes, whatever the dtype. */
export function sampleWork({ inputs }: SampleSet): number {
  return inputs.reduce((sum, { shape, axis }) => sum + 4 * elementCount(shape.toSpliced(axis ?? 0, 1)), 0);
}
