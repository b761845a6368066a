import {
  effectiveSampleSize,
  keepCount,
  keepCountForSparsity,
  type ScoreStatistics,
} from '../../core/statistics.ts';
import type { Recipe } from '../recipe.ts';

/** How many to keep of a group, in a form that crosses threads. Null `sparsity`: EMP's count. */
export interface CountRule {
  readonly beta: number;
  readonly sparsity: number | null;
  readonly minDensity: number;
}

export function countRule(recipe: Recipe): CountRule {
  return {
    beta: recipe.beta ?? 1,
    sparsity: recipe.budget?.sparsity ?? null,
    minDensity: recipe.min_density,
  };
}

/** The least that `minDensity` leaves of `n` weights. */
export function minimumKept(n: number, minDensity: number): number {
  return Math.ceil(minDensity * n * (1 - 2 ** -40));
}

/** How many of a group are kept: EMP's count or the fixed budget's. */
export function countOf(rule: CountRule, statistics: ScoreStatistics): number {
  return rule.sparsity === null
    ? keepCount(effectiveSampleSize(statistics), rule.beta, statistics.n)
    : keepCountForSparsity(statistics.n, rule.sparsity);
}
