import {
  effectiveSampleSize,
  keepCount,
  keepCountForSparsity,
  type ScoreStatistics,
} from '../../core/statistics.ts';
import type { Recipe } from '../../recipe/recipe.ts';

/** How many to keep of a group, in a form that crosses threads. */
export interface CountRule {
  /** EMP's count; null where it does not decide. */
  readonly beta: number | null;
  /** The fixed budget's count; null where it does not decide. */
  readonly sparsity: number | null;
  /** Least share of a tensor, or of a row, that is kept. */
  readonly minDensity: number;
}

/** @param beta in place of the recipe's own */
export function countRule(
  { budget, min_density: minDensity, ...recipe }: Recipe,
  beta = recipe.beta ?? 1,
): CountRule {
  return budget
    ? { beta: null, sparsity: budget.sparsity, minDensity }
    : { beta, sparsity: null, minDensity };
}

/** The least that `minDensity` leaves of `n` weights. */
export function minimumKept(n: number, minDensity: number): number {
  return Math.ceil(minDensity * n * (1 - 2 ** -40));
}

/** How many of a group are kept, `minDensity` aside: that is for every tensor, and a group may hold many. */
export function countOf({ beta, sparsity }: CountRule, statistics: ScoreStatistics): number {
  if (sparsity !== null) return keepCountForSparsity(statistics.n, sparsity);
  return beta === null ? 1 : keepCount(effectiveSampleSize(statistics), beta, statistics.n);
}

/** How many are kept of a group that is a tensor or a row. */
export function countWithin(rule: CountRule, statistics: ScoreStatistics): number {
  return Math.max(countOf(rule, statistics), minimumKept(statistics.n, rule.minDensity));
}
