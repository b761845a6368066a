import type { Report } from '../../src/report/report.ts';

/** What the oracle found for one recipe. */
export interface GoldenPruning {
  readonly scope: string;
  readonly beta: number;
  readonly total: { readonly n: number; readonly n_keep: number; readonly sparsity: number };
  readonly pruned_loss: number;
  readonly pruned_accuracy: number;
}

/** The part of a fixture's `golden.json` that is compared. */
export interface Golden {
  readonly prunable: Readonly<Record<string, readonly number[]>>;
  readonly dense: { readonly loss: number; readonly accuracy: number };
  readonly magnitude: readonly GoldenPruning[];
  readonly wanda?: readonly GoldenPruning[];
}

export function findGolden(
  golden: Golden | null,
  criterion: string,
  scope: string,
  beta: number,
): GoldenPruning | null {
  const prunings = criterion === 'wanda' ? golden?.wanda : golden?.magnitude;
  return prunings?.find((pruning) => pruning.scope === scope && pruning.beta === beta) ?? null;
}

/** The oracle's answer to a report's recipe; null where it has none. */
export function goldenOf(golden: Golden | null, { recipe }: Report): GoldenPruning | null {
  if (recipe.budget !== undefined || recipe.target !== undefined) return null;
  return findGolden(golden, String(recipe.criterion), String(recipe.scope), Number(recipe.beta ?? 1));
}
