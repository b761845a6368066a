import type { ScoreRange, WeightScorer } from '../context.ts';
import { captureLayers } from '../layer-statistics.ts';
import { factorsOf } from '../part-statistics.ts';
import { writeScores } from '../score-writer.ts';

/**
 * `s_ij = |W_ij| * ||X_j||_2` (Sun et al., arXiv 2306.11695): the l2 norm of the input feature that a weight multiplies, over all samples
 * and positions; of a convolution, the norm of the input channel.
 */
export const score: WeightScorer<'wanda'> = async (tensors, context) => {
  const layers = await captureLayers('wanda', 'input', 'sum_of_squares', tensors, context);
  const ranges: ScoreRange[] = [];
  for (const [index, parts] of layers.entries())
    ranges.push(await writeScores(tensors[index], factorsOf(parts, Math.sqrt), context, index));
  return ranges;
};
