import type { ModelTensor } from '../formats/model.ts';
import type { CriterionContext, ScoreRange } from './criterion.ts';
import { gradientScores } from './gradient-scores.ts';

/**
 * `s_ij = |W_ij * dL/dW_ij|`, L the mean loss over all calibration positions that count: to first order what the loss changes by when the weight goes
 * (Molchanov et al., arXiv 1611.06440). The gradients of all samples are added up before they are made absolute.
 */
export async function taylor(
  tensors: readonly ModelTensor[],
  context: CriterionContext,
): Promise<ScoreRange[]> {
  return await gradientScores('taylor', tensors, context);
}

/**
 * `s_ij = |W_ij| * rms_n dL_n/dW_ij`, the root mean square over samples n of the gradient of each sample's mean loss L_n (Molchanov et al., arXiv 1906.10771): samples cannot cancel out, as they do
 * where a trained model's mean gradient is next to nothing. Costs a pass over the weights for every sample.
 */
export async function taylorRms(
  tensors: readonly ModelTensor[],
  context: CriterionContext,
): Promise<ScoreRange[]> {
  return await gradientScores('taylor_rms', tensors, context);
}
