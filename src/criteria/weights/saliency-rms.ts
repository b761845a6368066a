import type { WeightScorer } from '../context.ts';
import { gradientScores } from '../gradient-scores.ts';

/**
 * `s_ij = rms_n dL_n/dW_ij`, the root mean square over samples n of the gradient of each sample's mean loss L_n: the diagonal of the empirical Fisher
 * information, square-rooted. Costs a pass over the weights for every sample.
 */
export const score: WeightScorer<'saliency_rms'> = (tensors, context) =>
  gradientScores({ statistic: 'rms', timesWeight: false }, tensors, context);
