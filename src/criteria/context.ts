import type { FloatDtype } from '../core/dtype.ts';
import type { ModelTensor } from '../formats/model.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import type { ScoreArray } from '../formats/score-file.ts';
import type { StructureCriterion, WeightCriterion } from '../recipe/criteria.ts';
import type { ModelRun } from '../runtime/model-run.ts';
import type { Family } from '../structure/families.ts';

/**
 * Importance scores of one tensor's weights, in the tensor's order, as `n` little-endian numbers of a file from `offset` on. They are read by
 * chunk, any number of times; a criterion that computes its scores writes them to a scratch file once. They count by absolute value.
 */
export interface ScoreRange {
  /** The tensor's. */
  readonly name: string;
  readonly path: string;
  readonly offset: number;
  readonly dtype: FloatDtype;
  readonly n: number;
}

export interface CriterionContext extends ModelRun {
  /** The client's arrays by name, of criterion `scores`. */
  readonly scores: ReadonlyMap<string, ScoreArray> | null;
  /** What data-driven criteria run the model on: there for a criterion that needs it, with labels where it needs those. */
  readonly calibration: SampleSet | null;
  /** See `GradientContext`. */
  readonly maxBatchSamples?: number;
  /** To be called with a tensor and which share of what its layer gets, or gives, no sample reached. */
  readonly onUnreached: (tensor: string, share: number) => void;
  /** Of the numbers that criterion `random` draws. */
  readonly seed: number;
}

/** Scores the selected tensors, one range each, in their order. Named by its row of the vocabulary: without one it does not compile. */
export type WeightScorer<_Row extends WeightCriterion> = (
  tensors: readonly ModelTensor[],
  context: CriterionContext,
) => Promise<readonly ScoreRange[]>;

/** Scores structures: one array for every family, in their order, its structures' scores in theirs. Named as `WeightScorer` is. */
export type StructureScorer<_Row extends StructureCriterion> = (
  families: readonly Family[],
  context: CriterionContext,
) => Promise<readonly Float64Array[]>;

/** The samples of a criterion that needs calibration data. Throws TypeError without them, which a checked recipe rules out. */
export function samplesOf({ calibration }: CriterionContext): SampleSet {
  if (calibration === null) throw new TypeError('a criterion of activations without calibration data');
  return calibration;
}

/** The samples, with their labels, of a criterion that needs both. Throws likewise. */
export function labelledSamplesOf(context: CriterionContext) {
  const { labels, ...samples } = samplesOf(context);
  if (labels === null) throw new TypeError('a criterion of gradients without labels');
  return { ...samples, labels };
}
