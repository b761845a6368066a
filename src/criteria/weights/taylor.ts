import type { WeightScorer } from '../context.ts';
import { gradientScores } from '../gradient-scores.ts';

/**
 * `s_ij = |W_ij * dL/dW_ij|`, L the mean loss over all calibration positions that count: to first order what the loss changes by when the weight goes
 * (Molchanov et al., arXiv 1611.06440). The gradients of all samples are added up before they are made absolute.
 */
export const score: WeightScorer<'taylor'> = (tensors, context) =>
  gradientScores({ statistic: 'mean', timesWeight: true }, tensors, context);
