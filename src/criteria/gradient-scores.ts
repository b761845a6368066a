import { accumulateGradients, type GradientStatistic } from '../autodiff/gradients.ts';
import type { ModelTensor } from '../formats/model.ts';
import { type CriterionContext, labelledSamplesOf, type ScoreRange } from './context.ts';
import { writeScores, writeValues } from './score-writer.ts';

interface GradientFormula {
  readonly statistic: GradientStatistic;
  readonly timesWeight: boolean;
}

/**
 * Scores from gradients at the tensors as they are stored: through whatever the graph makes of a tensor before it multiplies by it. They are rounded
 * to float32 (float64 of float64 weights) and not scaled, so that thresholds are what the formula says; a score below 1e-45 becomes 0.
 * @throws EmpError what `accumulateGradients` throws
 */
export async function gradientScores(
  { statistic, timesWeight }: GradientFormula,
  tensors: readonly ModelTensor[],
  context: CriterionContext,
): Promise<ScoreRange[]> {
  const names = tensors.map(({ name }) => name);
  const gradients = accumulateGradients(names, statistic, {
    ...context,
    samples: labelledSamplesOf(context),
  });
  const ranges: ScoreRange[] = [];
  for await (const { values } of gradients) {
    const index = ranges.length;
    for (let i = 0; i < values.length; i++) values[i] = Math.abs(values[i]);
    const own = (start: number, target: Float64Array) =>
      target.set(values.subarray(start, start + target.length));
    ranges.push(
      timesWeight
        ? await writeScores(tensors[index], own, context, index)
        : await writeValues(tensors[index], values, context, index),
    );
  }
  return ranges;
}
