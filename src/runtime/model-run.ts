import type { StoredModel } from '../formats/stored-model.ts';
import type { RuntimeSettings } from './session.ts';

/** A model that is run on samples. */
export interface ModelRun {
  readonly model: StoredModel;
  /** For files that exist only while it runs. */
  readonly scratchDirectory: string;
  readonly runtime: RuntimeSettings;
  readonly signal: AbortSignal;
  /** Called after every batch with the number of its samples; where there are several passes over the samples, in each of them. Of what takes part of a pass, or as long, with part of the number. */
  onSamples(count: number): void;
}
