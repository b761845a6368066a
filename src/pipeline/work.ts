import { elementCount } from '../formats/model.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import type { Recipe } from '../recipe/recipe.ts';
import type { DenseModel } from './dense-model.ts';
import { MAX_EVALUATIONS } from './search.ts';

/** Scores are read about twice before they are decided and once to be written, and what was written is hashed. */
const READINGS = 4;

interface Job {
  readonly model: DenseModel;
  readonly recipe: Recipe;
  readonly calibration: SampleSet | null;
  readonly evaluation: SampleSet | null;
}

/**
 * Bytes that a job will go through, roughly: of the model and every candidate, and of the data once for each model that runs on it.
 * @param repairPasses over the calibration data, that the repairs of one model take
 */
export function plannedWork({ model, recipe, calibration, evaluation }: Job, repairPasses: number): number {
  const pass = calibration ? sampleWork(calibration) * calibration.nSamples : 0;
  const calibrated = pass * Math.max(1, recipe.hessian_probes);
  if (!evaluation) return READINGS * model.sizeBytes + calibrated + pass * repairPasses;
  // The job's own model and the uniform baseline, whatever the recipe.
  const models = 2 + (recipe.sweep_betas?.length ?? 0) + (recipe.target ? MAX_EVALUATIONS - 1 : 0);
  const evaluated = sampleWork(evaluation) * evaluation.nSamples;
  const measured = evaluated * (1 + recipe.repair.length) + pass * repairPasses;
  return models * (READINGS * model.sizeBytes + measured) + evaluated + calibrated;
}

/** Elements of one sample over all inputs: a measure of work like bytes, whatever the dtype. */
export function sampleWork({ inputs }: SampleSet): number {
  return inputs.reduce((sum, { shape }) => sum + 4 * elementCount(shape.slice(1)), 0);
}
