import { MAX_EVALUATIONS, searchBeta } from '../pipeline/search.ts';
import type { ExternalMetric } from '../recipe/lines.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { kindOf } from '../recipe/terms.ts';
import type { LineJob } from './search-lines.ts';
import type { SearchStep } from './search-step.ts';

/** Candidates in all, by their numbers: 0 is the dense model, the others are pruned. */
export const MAX_TOLD = MAX_EVALUATIONS;
/** Metrics are often quotients: a drop of exactly the limit is within it. */
const ROUNDING = 1e-9;

/** A candidate as it stands. */
export interface ToldCandidate {
  /** Null of the dense model, and until it is its turn. */
  readonly job: LineJob | null;
  /** Of that job's recipe. */
  readonly beta: number | null;
  /** What the client's metric says of it; null until it is told. */
  readonly metric: number | null;
}

export type ExternalStep =
  | Extract<SearchStep, { kind: 'wait' }>
  | { readonly kind: 'prune'; readonly candidate: number; readonly beta: number }
  | (Extract<SearchStep, { kind: 'end' }> & { readonly best: number | null });

/** The numbers of those that the client is to measure now. */
export function waitingCandidates(told: readonly ToldCandidate[]): number[] {
  return [...told.keys()].filter((number) => {
    const { job, metric } = told[number];
    return metric === null && (number === 0 || job?.status === 'succeeded');
  });
}

/** What the search for a beta comes to when it asks for what is not known yet. */
class Unknown extends Error {
  readonly step: ExternalStep;

  constructor(step: ExternalStep) {
    super(step.kind);
    this.step = step;
  }
}

/** By how much a value is worse than the dense model's. */
export function dropOf({ direction }: ExternalMetric, dense: number, value: number): number {
  return direction === 'higher' ? dense - value : value - dense;
}

export function isWithin(metric: ExternalMetric, drop: number): boolean {
  return excessOf(metric, drop) <= 0;
}

function excessOf({ max_drop }: ExternalMetric, drop: number): number {
  return drop - max_drop - ROUNDING;
}

/**
 * What follows from what the client's metric has said: the search for the smallest beta of a job's target, gone through from its beginning with the answers that there are, up to the first that is missing.
 * @param candidates by their numbers
 */
export async function nextExternalStep(
  metric: ExternalMetric,
  { granularity, min_density }: Recipe,
  candidates: readonly ToldCandidate[],
): Promise<ExternalStep> {
  const dense = candidates[0]?.metric ?? null;
  const numbers = new Map<number, number>();
  const smaller = new Set<number>();
  const measure = async (beta: number) => {
    const candidate = numbers.size + 1;
    const { job = null, metric: value = null } = candidates[candidate] ?? {};
    if (job === null) throw new Unknown({ kind: 'prune', candidate, beta });
    const { status, error, summary } = job;
    if (error !== null && status !== 'succeeded')
      throw new Unknown({ kind: 'end', status: 'failed', error, best: null });
    if (summary === null || value === null || dense === null) throw new Unknown({ kind: 'wait' });
    numbers.set(beta, candidate);
    if ((summary.pruned_bytes ?? 0) < (summary.dense_bytes ?? 0)) smaller.add(beta);
    const excess = excessOf(metric, dropOf(metric, dense, value));
    return { beta, sparsity: summary.sparsity, excess };
  };
  try {
    const found = await searchBeta({
      measure,
      excessOf: (point) => point.excess,
      isSmaller: (beta) => kindOf(granularity) === 'weights' || smaller.has(beta),
      minDensity: min_density,
    });
    const best = found.isWithin ? (numbers.get(found.beta) ?? null) : null;
    return { kind: 'end', status: 'succeeded', error: null, best };
  } catch (error) {
    if (error instanceof Unknown) return error.step;
    throw error;
  }
}
