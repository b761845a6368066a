import type { InputFinding } from '../core/errors.ts';
import type { Exploration } from '../pipeline/explore.ts';
import { standardErrorsWithin } from '../pipeline/search.ts';
import { AIMS, type SearchTerms, targetOfTerms } from '../recipe/lines.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { excessOver } from '../report/target-excess.ts';
import type { StoredRecord } from '../storage/store.ts';
import type { JobFailure, JobRequest, JobStatus, JobSummary } from './job.ts';
import type { Lane } from './job-lanes.ts';

/** A recipe without its amount, that can be tried. */
export interface PlannedLine {
  readonly recipe: Recipe;
  readonly lane: Lane;
}

/** One that cannot, and why. */
export interface LeftOutLine {
  readonly recipe: Recipe;
  readonly reason: string;
}

/** What a client asked for: written once, before anything is tried. */
export interface SearchRequest
  extends Pick<
    JobRequest,
    'model_id' | 'calibration_dataset_id' | 'selection_dataset_id' | 'metadata' | 'request_id' | 'webhook'
  > {
  readonly priority: number;
  /** Null where the metric is the client's own, and no data came. */
  readonly evaluation_dataset_id: string | null;
  readonly terms: SearchTerms;
  /** In the order in which they are tried. */
  readonly lines: readonly PlannedLine[];
  readonly left_out: readonly LeftOutLine[];
}

export interface SearchRecord extends StoredRecord, SearchRequest {}

/** How a search ended: written once, to `result.json` of its folder. */
export interface SearchResult {
  readonly status: 'succeeded' | 'failed' | 'canceled';
  readonly finished_at: string;
  readonly error: JobFailure | null;
  /** Of a metric of the client's own: the number of the best candidate; null where none is within. */
  readonly candidate?: number | null;
}

/** A line as its job stands. */
export interface LineState {
  readonly recipe: Recipe;
  /** Null until it is its turn. */
  readonly job: LineJob | null;
  /** Null until the job has succeeded. */
  readonly exploration: Exploration | null;
}

/** What is asked of a job that a search has done. */
export interface LineJob {
  readonly id: string;
  readonly status: JobStatus;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly error: JobFailure | null;
  readonly summary: JobSummary | null;
}

/** A candidate by the numbers of its line and of it within the line. */
interface Place {
  readonly line: number;
  readonly candidate: number;
}

export function isSearchId(id: string): boolean {
  return id.startsWith('sea_');
}

/** Findings about the recipe of a line, by what a search calls it. */
export function inTermsOfSearch(findings: readonly InputFinding[]): InputFinding[] {
  return findings.map((finding) => ({
    ...finding,
    path: finding.path.replace(/^\/recipe\/target\b/, '/promise').replace(/^\/recipe\b.*/, '/allow'),
  }));
}

/** A candidate within the promise, with what it has of what the aim lessens. */
export interface FoundCandidate extends Place {
  readonly amount: number;
  readonly beta: number;
  /** How far beyond the promise it is on the samples that are chosen on: 0 or less. */
  readonly excess: number;
  /** How far within it is, in standard errors: infinite where nothing is bounded, or no error is known. */
  readonly errorsWithin: number;
}

/** The job whose model is to be taken: the last that was written, and where that missed its promise too the one that missed it by least. */
export function offeredOf(written: readonly LineJob[]): LineJob | null {
  const last = written.at(-1) ?? null;
  if (last?.summary?.met !== false) return last;
  return written.reduce((best, job) => (beyondOf(job) < beyondOf(best) ? job : best), last);
}

/** Of a model that is unsafe there is no distance at which it would do. */
function beyondOf({ summary }: LineJob): number {
  const isUnsafe = summary?.decision === 'unsafe';
  return isUnsafe ? Number.POSITIVE_INFINITY : (summary?.beyond_limit ?? Number.POSITIVE_INFINITY);
}

/** All candidates within the promise, of which the aim is known. */
export function foundOf(
  terms: Pick<SearchTerms, 'aim' | 'promise'>,
  lines: readonly Pick<LineState, 'exploration'>[],
): FoundCandidate[] {
  const { lessens } = AIMS[terms.aim];
  const target = targetOfTerms(terms);
  return lines.flatMap(({ exploration }, line) =>
    (exploration?.candidates ?? []).flatMap((measured, candidate) => {
      const amount = measured[lessens];
      if (!measured.is_within || amount === null || !exploration) return [];
      const { dense } = exploration;
      const excess = target ? excessOver(target, dense, measured) : 0;
      const errorsWithin = target ? standardErrorsWithin(target, dense, measured) : Number.POSITIVE_INFINITY;
      return [{ line, candidate, amount, beta: measured.beta, excess, errorsWithin }];
    }),
  );
}

/** The candidate that serves the aim best; of several the first that was tried, of a line the densest. Null where there is none. */
export function bestOf(found: readonly FoundCandidate[]): FoundCandidate | null {
  let best: FoundCandidate | null = null;
  for (const one of found) {
    const isBetter =
      best === null ||
      one.amount < best.amount ||
      (one.amount === best.amount && one.line === best.line && one.beta > best.beta);
    if (isBetter) best = one;
  }
  return best;
}
