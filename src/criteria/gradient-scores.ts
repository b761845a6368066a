import { accumulateGradients, type GradientStatistic } from '../autodiff/gradients.ts';
import { EmpError } from '../core/errors.ts';
import type { ModelTensor } from '../formats/model.ts';
import { requireCalibration } from './calibration.ts';
import type { CriterionContext, ScoreRange } from './criterion.ts';
import { writeScores, writeValues } from './score-writer.ts';
import type { FeatureFactors } from './weight-chunks.ts';

interface GradientFormula {
  readonly statistic: GradientStatistic;
  readonly timesWeight: boolean;
}

const FORMULAS = {
  taylor: { statistic: 'mean', timesWeight: true },
  saliency: { statistic: 'mean', timesWeight: false },
  taylor_rms: { statistic: 'rms', timesWeight: true },
  saliency_rms: { statistic: 'rms', timesWeight: false },
} as const satisfies Record<string, GradientFormula>;

export type GradientCriterion = keyof typeof FORMULAS;

export function isGradientCriterion(criterion: string): criterion is GradientCriterion {
  return Object.hasOwn(FORMULAS, criterion);
}

/**
 * Scores from gradients at the tensors as they are stored: through whatever the graph makes of a tensor before it multiplies by it. They are rounded
 * to float32 (float64 of float64 weights) and not scaled, so that thresholds are what the formula says; a score below 1e-45 becomes 0.
 * @throws EmpError invalid_request without ONNX model, calibration data or labels, and what `accumulateGradients` throws
 */
export async function gradientScores(
  criterion: GradientCriterion,
  tensors: readonly ModelTensor[],
  context: CriterionContext,
): Promise<ScoreRange[]> {
  const samples = requireCalibration(criterion, context);
  const { labels } = samples;
  if (labels === null) {
    const message = `criterion ${criterion} needs calibration data with labels: gradients are those of a loss`;
    throw new EmpError('invalid_request', message, [
      { path: '/recipe/criterion', message },
      { path: '/calibration_dataset_id', message: 'has no labels' },
    ]);
  }
  const { statistic, timesWeight } = FORMULAS[criterion];
  const names = tensors.map(({ name }) => name);
  const gradients = accumulateGradients(names, statistic, {
    ...context,
    files: context.inventory.files,
    samples: { ...samples, labels },
  });
  const ranges: ScoreRange[] = [];
  for await (const { values } of gradients) {
    const index = ranges.length;
    for (let i = 0; i < values.length; i++) values[i] = Math.abs(values[i]);
    ranges.push(
      timesWeight
        ? await writeScores(tensors[index], { factors: values, features: oneEach(values) }, context, index)
        : await writeValues(tensors[index], values, context, index),
    );
  }
  return ranges;
}

/** Every element has a factor of its own. */
function oneEach({ length }: Float64Array): FeatureFactors['features'] {
  return [{ size: length, stride: 1 }];
}
