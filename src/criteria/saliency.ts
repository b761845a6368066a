import type { ModelTensor } from '../formats/model.ts';
import type { CriterionContext, ScoreRange } from './criterion.ts';
import { gradientScores } from './gradient-scores.ts';

/** `s_ij = |dL/dW_ij|`, L the mean loss over all calibration positions that count: how much the loss feels a change of the weight. */
export async function saliency(
  tensors: readonly ModelTensor[],
  context: CriterionContext,
): Promise<ScoreRange[]> {
  return await gradientScores('saliency', tensors, context);
}

/**
 * `s_ij = rms_n dL_n/dW_ij`, the root mean square over samples n of the gradient of each sample's mean loss L_n: the diagonal of the empirical Fisher
 * information, square-rooted. Costs a pass over the weights for every sample.
 */
export async function saliencyRms(
  tensors: readonly ModelTensor[],
  context: CriterionContext,
): Promise<ScoreRange[]> {
  return await gradientScores('saliency_rms', tensors, context);
}
