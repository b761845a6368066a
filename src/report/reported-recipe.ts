/** What of a report's recipe is said in words. */
import { z } from 'zod';
import { GRANULARITIES, GRANULARITY_NAMES, GROUPS, type Noun } from '../recipe/terms.ts';
import type { Report, Undecided } from './report.ts';
import { targetFigures } from './target-figures.ts';

const reportedRecipeSchema = z.looseObject({
  criterion: z.string(),
  scope: z.string(),
  allocation: z.string().default('scope'),
  allocation_moves: z.number().default(0),
  sensitivity: z.boolean().default(false),
  granularity: z.enum(GRANULARITY_NAMES),
  beta: z.number().optional(),
  budget: z.object({ sparsity: z.number() }).optional(),
  target: targetFigures.optional(),
  sweep_betas: z.array(z.number()).default([]),
  include: z.array(z.string()).default([]),
  exclude: z.array(z.string()).default([]),
  min_density: z.number(),
  round_to: z.number().optional(),
  hessian_probes: z.number().optional(),
  hessian_trace: z.number().nullable().default(null),
  repair: z.array(z.string()).default([]),
  seed: z.number().default(0),
  dry_run: z.boolean(),
});

export type ReportedRecipe = z.output<typeof reportedRecipeSchema>;

export function recipeOf({ recipe }: Pick<Report, 'recipe'>): ReportedRecipe {
  return reportedRecipeSchema.parse(recipe);
}

/** What a later version added: it is shown as it is. */
export function otherFields(recipe: ReportedRecipe): [name: string, value: unknown][] {
  return Object.entries(recipe).filter(([name]) => !Object.hasOwn(reportedRecipeSchema.shape, name));
}

/** The beta that the model was pruned at; null for a fixed budget. */
export function chosenBeta(report: Undecided): number | null {
  const { beta, budget } = recipeOf(report);
  const { evaluation, size_target } = report;
  const chosen = evaluation?.search ?? size_target ?? evaluation?.speed_target;
  return budget ? null : (chosen?.beta ?? beta ?? 1);
}

/** What a report calls what is kept or removed, and what has a sparsity of its own. */
export function nounsOf(report: Pick<Report, 'recipe' | 'structures'>): {
  readonly unit: Noun;
  readonly group: Noun;
} {
  const { granularity } = recipeOf(report);
  return {
    unit: GRANULARITIES[granularity].unit,
    group: report.structures === null ? GROUPS.weights : GROUPS.structures,
  };
}
