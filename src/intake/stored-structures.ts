import type { Store } from '../storage/store.ts';
import { type StructureOverview, structureOverviewSchema } from '../structure/overview.ts';

/** Beside the model's record. */
const STORED = 'structures.json';

/** The answer as it is stored, with the key of the program that found it: others may find more, or less. */
interface StoredStructures {
  readonly source: string;
  readonly structures: unknown;
}

/** What that program has found of a model; null where it was not asked. */
export async function readStructures(
  store: Store,
  modelId: string,
  finder: string,
): Promise<StructureOverview | null> {
  const stored = await store.readJson<StoredStructures>('models', modelId, STORED);
  if (stored?.source !== finder) return null;
  return structureOverviewSchema.safeParse(stored.structures).data ?? null;
}

/** Keeps what a program has found. */
export function writeStructures(
  store: Store,
  modelId: string,
  finder: string,
  structures: StructureOverview,
): Promise<void> {
  const stored: StoredStructures = { source: finder, structures };
  return store.writeJson('models', modelId, STORED, stored);
}
