import type { SampleSet } from '../formats/sample-set.ts';
import { SHARING_RULE_NAMES } from '../recipe/allocations.ts';
import { comparesOutputs } from '../recipe/needs.ts';
import { sizeTargetOf, speedTargetOf, targetOf } from '../recipe/target.ts';
import { SENSITIVITY_SPARSITIES } from '../report/sensitivity-figures.ts';
import { MAX_TIMED } from './choose-speed.ts';
import { MAX_RUNGS } from './promised-beta.ts';
import type { UsedInput } from './prune-job.ts';
import { sampleWork } from './sample-work.ts';
import { MAX_EVALUATIONS } from './search.ts';
import { MAX_SIZES } from './search-size.ts';
import { selectTensors } from './weights/select.ts';

/** Scores are read about twice before they are decided and once to be written, and what was written is hashed. */
const READINGS = 4;

/**
 * Bytes that a job will go through, roughly: of the model and every candidate, and of the data once for each model that runs on it.
 * @param repairPasses over the calibration data, that the repairs of one model take
 */
export function plannedWork(
  { model, identity: { sizeBytes }, recipe, calibration, selection, evaluation }: UsedInput,
  repairPasses: number,
): number {
  const pass = calibration ? sampleWork(calibration) * calibration.nSamples : 0;
  const calibrated = pass * Math.max(1, recipe.hessian_probes);
  const { allocation, allocation_moves } = recipe;
  const ways = allocation === 'auto' ? SHARING_RULE_NAMES.length + allocation_moves : 0;
  const nAlone = recipe.sensitivity ? selectTensors(model.inventory, recipe).length : 0;
  const alone = nAlone * SENSITIVITY_SPARSITIES.length * (READINGS * sizeBytes + pass);
  const shared = alone + ways * (READINGS * sizeBytes + pass * (1 + repairPasses));
  const nSized = sizeTargetOf(recipe) ? MAX_SIZES : speedTargetOf(recipe) ? MAX_TIMED : 0;
  const sized = nSized * READINGS * sizeBytes;
  if (!evaluation) return READINGS * sizeBytes + shared + sized + calibrated + pass * repairPasses;
  const searched = targetOf(recipe) ? MAX_EVALUATIONS : 0;
  const promised = recipe.target?.confidence === undefined ? 0 : MAX_RUNGS;
  // The job's own model and the uniform baseline, whatever the recipe.
  const models = 2 + (recipe.sweep_betas?.length ?? 0) + promised;
  const runs = evaluation.labels && comparesOutputs(recipe) ? 2 : 1;
  const workOf = (samples: SampleSet) => runs * sampleWork(samples) * samples.nSamples;
  const [evaluated, chosen] = [workOf(evaluation), workOf(selection ?? evaluation)];
  const fixed = READINGS * sizeBytes + shared + pass * repairPasses + chosen * recipe.repair.length;
  const measured = models * (fixed + evaluated) + searched * (fixed + chosen);
  return measured + sized + evaluated + (selection ? chosen : 0) + calibrated;
}
