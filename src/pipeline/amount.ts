import {
  effectiveSampleSize,
  keepCount,
  keepCountForSparsity,
  type ScoreStatistics,
} from '../core/statistics.ts';
import type { Recipe } from '../recipe/recipe.ts';

/** How much of a group is kept, in a form that crosses threads. */
export interface Amount {
  /** EMP's knob; null where it does not decide. */
  readonly beta: number | null;
  /** The fixed budget's share to remove; null where it does not decide. */
  readonly sparsity: number | null;
  /** Least share of a tensor, or of a row, that is kept. */
  readonly minDensity: number;
}

/** @param beta in place of the recipe's own */
export function amountOf(
  { budget, min_density: minDensity, ...recipe }: Recipe,
  beta = recipe.beta ?? 1,
): Amount {
  return budget
    ? { beta: null, sparsity: budget.sparsity, minDensity }
    : { beta, sparsity: null, minDensity };
}

/**
 * How many of a group's N scores are kept: by EMP `clamp(floor(beta * N_eff), 1, N)` with `N_eff = (sum |s|)^2 / sum s^2`, by a budget a fixed share. `minDensity` aside: that is
 * for every tensor, and a group may hold many.
 */
export function countOf({ beta, sparsity }: Amount, group: ScoreStatistics): number {
  if (sparsity !== null) return keepCountForSparsity(group.n, sparsity);
  return beta === null ? 1 : keepCount(effectiveSampleSize(group), beta, group.n);
}

/** The least that `minDensity` leaves of `n` weights. */
export function minimumKept(n: number, minDensity: number): number {
  return Math.ceil(minDensity * n * (1 - 2 ** -40));
}

/** How many are kept of a group that is a tensor or a row. */
export function countWithin(amount: Amount, group: ScoreStatistics): number {
  return Math.max(countOf(amount, group), minimumKept(group.n, amount.minDensity));
}
