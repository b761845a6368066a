import type { GivenSamples } from '../../formats/sample-set.ts';
import type { RuntimeSettings } from '../../runtime/session.ts';
import type { PruneInput } from '../prune-job.ts';

/** A model and what it is called. */
export type NamedModel = Pick<PruneInput, 'model' | 'identity'>;

export interface CompareInput {
  readonly original: NamedModel;
  /** By any tool, from the original. */
  readonly pruned: NamedModel;
  /** What both, and EMP's masks, are measured on; null for none. */
  readonly evaluation: GivenSamples | null;
  /** An empty folder: it receives `compare.json`, and `masks.safetensors` with the masks of the pruned model. */
  readonly outputDirectory: string;
  readonly runtime: RuntimeSettings;
  /** As of `PruneInput`. */
  readonly chunkElements?: number;
}
