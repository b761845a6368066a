import { join } from 'node:path';
import type { ModelInventory } from './model.ts';

/** A model on disk. */
export interface StoredModel {
  /** Holds the inventory's files under their names. */
  readonly directory: string;
  readonly inventory: ModelInventory;
}

/** Of the file that onnxruntime opens, or readers begin with. */
export function mainPath({ directory, inventory }: StoredModel): string {
  return join(directory, inventory.files[0]);
}
