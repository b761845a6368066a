import { z } from 'zod';
import { count, figure, share } from './figures.ts';

/** Of one tensor, all others whole. */
export const SENSITIVITY_SPARSITIES = [0.5, 0.75, 0.9] as const;

/** What each tensor costs by itself. */
export const sensitivitySchema = z
  .object({
    by: z.enum(['kl', 'relative_l2']).describe('What `distance` is, chosen as for `allocation`.'),
    sparsities: z.array(share).describe('Of the one tensor that is pruned.'),
    tensors: z.array(
      z.object({
        name: z.string(),
        n_keep: z.array(count).describe('At each of `sparsities`.'),
        distance: z.array(figure).describe("From the dense model's outputs, on the calibration samples."),
      }),
    ),
  })
  .describe(
    'How far the model moves where each tensor alone is pruned by its scores, without repair. What single tensors cost does not add up to what all together do.',
  );

export type SensitivityFigures = z.output<typeof sensitivitySchema>;
