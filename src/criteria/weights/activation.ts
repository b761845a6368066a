import type { ScoreRange, WeightScorer } from '../context.ts';
import { captureLayers } from '../layer-statistics.ts';
import { factorsOf } from '../part-statistics.ts';
import { writeScores } from '../score-writer.ts';

/**
 * `s_ij = |W_ij| * mean |y_i|`: the mean magnitude of the output unit that a weight feeds, its bias included, over all samples and
 * positions; of a convolution, that of the output channel.
 */
export const score: WeightScorer<'activation'> = async (tensors, context) => {
  const layers = await captureLayers('activation', 'output', 'sum_of_magnitudes', tensors, context);
  const ranges: ScoreRange[] = [];
  for (const [index, parts] of layers.entries()) {
    const factors = factorsOf(parts, (sum, count) => (count > 0 ? sum / count : 0));
    ranges.push(await writeScores(tensors[index], factors, context, index));
  }
  return ranges;
};
