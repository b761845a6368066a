import type { WeightScorer } from '../context.ts';
import { gradientScores } from '../gradient-scores.ts';

/**
 * `s_ij = |W_ij| * rms_n dL_n/dW_ij`, the root mean square over samples n of the gradient of each sample's mean loss L_n (Molchanov et al., arXiv 1906.10771): samples cannot cancel out, as they do
 * where a trained model's mean gradient is next to nothing. Costs a pass over the weights for every sample.
 */
export const score: WeightScorer<'taylor_rms'> = (tensors, context) =>
  gradientScores({ statistic: 'rms', timesWeight: true }, tensors, context);
