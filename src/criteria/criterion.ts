import type { FloatDtype } from '../core/dtype.ts';
import type { ModelInventory, ModelTensor } from '../formats/model.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import type { ScoreArray } from '../formats/score-file.ts';
import type { RuntimeSettings } from '../runtime/session.ts';

/**
 * Importance scores of one tensor's weights, in the tensor's order, as `n` little-endian numbers of a file from `offset` on. They are read by
 * chunk, any number of times; a criterion that computes its scores writes them to a scratch file once. They count by absolute value.
 */
export interface ScoreRange {
  readonly path: string;
  readonly offset: number;
  readonly dtype: FloatDtype;
  readonly n: number;
}

export interface CriterionContext {
  /** The model's files. */
  readonly modelDirectory: string;
  readonly inventory: ModelInventory;
  /** For files that exist only while the job runs. */
  readonly scratchDirectory: string;
  /** The client's arrays by name, of criterion `scores`. */
  readonly scores: ReadonlyMap<string, ScoreArray> | null;
  /** What data-driven criteria run the model on. */
  readonly calibration: SampleSet | null;
  /** See `GradientContext`. */
  readonly maxBatchSamples?: number;
  /** Of the numbers that criterion `random` draws. */
  readonly seed: number;
  readonly runtime: RuntimeSettings;
  readonly signal: AbortSignal;
  /** Called with the number of samples that were run, batch by batch. */
  onSamples(count: number): void;
}

/** Scores the selected tensors, one range each, in their order. */
export type Criterion = (
  tensors: readonly ModelTensor[],
  context: CriterionContext,
) => Promise<readonly ScoreRange[]>;
