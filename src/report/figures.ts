import type { Report } from './report.ts';

/** What a verdict is made from. */
export type Figures = Pick<Report, 'total' | 'tensors' | 'sizes' | 'evaluation'> & {
  /** The one that the model was pruned at; null with a budget. */
  readonly beta: number | null;
  /** All-zero rows of each tensor, which are left as they are; tensors without any are not listed. */
  readonly zeroRows: ReadonlyMap<string, number>;
  /** Tensors that `min_density` kept denser than the global threshold would. */
  readonly raised: readonly string[];
};
