import type { ModelInventory } from '../formats/model.ts';

/** The model to be pruned. */
export interface DenseModel {
  /** The file's own name, which the pruned model gets too. */
  readonly name: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Holds the inventory's files under their names. */
  readonly directory: string;
  readonly inventory: ModelInventory;
}
