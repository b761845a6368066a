import type { ModelInventory } from './model.ts';

/** A model on disk. */
export interface StoredModel {
  /** Holds the inventory's files under their names. */
  readonly directory: string;
  readonly inventory: ModelInventory;
}
