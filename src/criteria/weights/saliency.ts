import type { WeightScorer } from '../context.ts';
import { gradientScores } from '../gradient-scores.ts';

/** `s_ij = |dL/dW_ij|`, L the mean loss over all calibration positions that count: how much the loss feels a change of the weight. */
export const score: WeightScorer<'saliency'> = (tensors, context) =>
  gradientScores({ statistic: 'mean', timesWeight: false }, tensors, context);
