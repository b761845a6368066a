import type { z } from 'zod';
import type { JobView } from '../http/job-schemas.ts';
import type { datasetSchema, modelSchema, modelSummarySchema } from '../http/schemas.ts';
import type { SearchEntryView, SearchView } from '../http/search-schemas.ts';

/** What the API answers, under the names that the page uses. */
export type Job = JobView;
export type Search = SearchView;
export type SearchEntry = SearchEntryView;
export type Candidate = SearchView['candidates'][number];
export type Model = z.output<typeof modelSchema>;
export type ModelSummary = z.output<typeof modelSummarySchema>;
export type Dataset = z.output<typeof datasetSchema>;
export type Recipe = Readonly<Record<string, unknown>>;

/** `GET /v1/models/{id}/n-eff`. */
export interface EffectiveSizes {
  readonly data: readonly (EffectiveSize & { readonly name: string })[];
  readonly total: EffectiveSize;
}

interface EffectiveSize {
  readonly n: number;
  readonly n_eff: number | null;
  readonly n_keep: number;
  readonly density: number;
}

/** A page of a list. */
export interface Page<T> {
  readonly data: readonly T[];
  readonly next_cursor: string | null;
}
