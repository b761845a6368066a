import type { FloatDtype } from '../core/dtype.ts';
import type { ModelTensor } from '../formats/model.ts';
import type { ScoreArray } from '../formats/score-file.ts';

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
  /** For files that exist only while the job runs. */
  readonly scratchDirectory: string;
  /** The client's arrays by name, of criterion `scores`. */
  readonly scores: ReadonlyMap<string, ScoreArray> | null;
}

/** Scores one tensor. */
export type Criterion = (tensor: ModelTensor, context: CriterionContext) => Promise<ScoreRange>;
