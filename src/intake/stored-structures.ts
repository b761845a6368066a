import type { Store } from '../storage/store.ts';
import type { StructureOverview } from '../structure/overview.ts';

/** The document of what has been found of a model, by the program that found it: others may find more, or less. */
export function structuresDocument(finder: string): string {
  return `structures-${finder.slice(0, 16)}.json`;
}

/** What that program has found; null where it was not asked. */
export function readStructures(
  store: Store,
  modelId: string,
  finder: string,
): Promise<StructureOverview | null> {
  return store.readJson<StructureOverview>('models', modelId, structuresDocument(finder));
}
