import type { UnusedInput } from '../recipe/needs.ts';
import type { Granularity } from '../recipe/terms.ts';
import type { Report, TensorReport } from './report.ts';

/** A tensor, or a family of structures. */
export type ScoredGroup = Pick<TensorReport, 'name' | 'n' | 'n_keep' | 'n_eff'>;

/** What a verdict and its warnings are made from. */
export type VerdictFacts = Pick<
  Report,
  'total' | 'untouched' | 'sizes' | 'size_target' | 'evaluation' | 'repair' | 'structures' | 'allocation'
> & {
  readonly granularity: Granularity;
  /** What has an N_eff of its own: tensors, or families of structures. */
  readonly groups: readonly ScoredGroup[];
  /** The one that the model was pruned at; null with a budget. */
  readonly beta: number | null;
  /** All-zero rows of each tensor, which are left as they are; tensors without any are not listed. */
  readonly zeroRows: ReadonlyMap<string, number>;
  /** Tensors that `min_density` kept denser than the global threshold would; families likewise, or because one structure has to stay. */
  readonly raised: readonly string[];
  /** Families of structures that were decided on together, for they are small. */
  readonly pooled: readonly string[];
  /** Families of which a count of channels that is no multiple of `CHANNEL_BLOCK` is kept, and not all. */
  readonly uneven: readonly string[];
  /** Data that came with a recipe that has no use for them. */
  readonly unused: readonly UnusedInput[];
  /** What share of a tensor's layer no calibration sample reached; tensors of which all was are not listed. */
  readonly unreached: ReadonlyMap<string, number>;
  /** Why figures of the evaluation data may mean nothing, and what to do about it. */
  readonly doubts: readonly string[];
};

/** The texts of one warning; null or none where there is nothing to warn of. */
export type WarningTexts = (facts: VerdictFacts) => string | readonly string[] | null;
