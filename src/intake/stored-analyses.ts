import type { Store } from '../storage/store.ts';
import type { StructureOverview } from '../structure/overview.ts';

/** What is found of a model when it is first asked for: a task of the API's children, which answers with JSON. */
export type AnalysisKind = 'structures' | 'n-eff';

/** The document of what has been found of a model, by the program that found it: others may find more, or less. */
export function analysisDocument(kind: AnalysisKind, finder: string): string {
  return `${kind}-${finder.slice(0, 16)}.json`;
}

/** The structures that a program has found; null where it was not asked. */
export function readStructures(
  store: Store,
  modelId: string,
  finder: string,
): Promise<StructureOverview | null> {
  return store.readJson<StructureOverview>('models', modelId, analysisDocument('structures', finder));
}
