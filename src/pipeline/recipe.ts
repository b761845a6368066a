import { z } from 'zod';

/** Matched against every tensor name while the request waits. */
const MAX_GLOBS = 100;
const globs = z.array(z.string().min(1).max(512)).max(MAX_GLOBS);

/**
 * What to prune and how much. Everything has a default. `beta` scales EMP's count; `budget` replaces it by a fixed sparsity per group,
 * to compare with; giving both is an error.
 */
export const recipeSchema = z
  .strictObject({
    criterion: z
      .enum(['magnitude', 'scores'])
      .default('magnitude')
      .describe('`magnitude`: |W|. `scores`: arrays uploaded as a scores dataset, one per tensor.'),
    scope: z
      .enum(['global', 'layer', 'row'])
      .default('global')
      .describe(
        'The set of weights sharing one N_eff: all selected tensors, one tensor, or the weights feeding one output unit.',
      ),
    granularity: z
      .literal('weight')
      .default('weight')
      .describe('What is kept or removed: single weights, zeroed in place.'),
    beta: z
      .number()
      .positive()
      .max(1e6)
      .optional()
      .describe('Deployment knob: floor(beta * N_eff) are kept. Default 1.'),
    budget: z
      .strictObject({ sparsity: z.number().min(0).lt(1) })
      .optional()
      .describe("A fixed sparsity per group instead of EMP's count."),
    include: globs
      .optional()
      .describe(
        'Globs on tensor names (`*` any characters, `?` one); given, only matching tensors are scored, prunable by default or not.',
      ),
    exclude: globs.optional().describe('Globs on tensor names that are left alone.'),
    min_density: z.number().min(0).max(1).default(0).describe('Least share of weights kept in every tensor.'),
    dry_run: z.boolean().default(false).describe('Score and decide; report without writing a model.'),
  })
  .refine((recipe) => recipe.beta === undefined || recipe.budget === undefined, {
    message: 'give beta or budget, not both',
    path: ['budget'],
  });

export type Recipe = z.output<typeof recipeSchema>;
