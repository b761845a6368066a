import { z } from 'zod';
import { SIZE_TARGET_NAMES } from '../recipe/size-targets.ts';
import { count, figure, share } from './figures.ts';

/** What became of a target of size. */
export const sizeTargetSchema = z
  .object({
    name: z.enum(SIZE_TARGET_NAMES),
    limit: count,
    reached: count.describe('The size of the pruned model, in the unit of the target.'),
    met: z.boolean().describe('Whether it is no larger than the limit.'),
    beta: z.number().describe('The one that the model was pruned at.'),
    largest: figure.describe(
      'The largest beta that was looked at whose model is within the limit; null where none is, and then the smallest model was taken. With a target of quality the model may be of another beta, which that has chosen.',
    ),
    evaluations: z
      .array(z.object({ beta: z.number(), sparsity: share, size: count }))
      .describe('All models that were measured on the way, in order.'),
  })
  .describe('What became of a target of size.');

export type SizeTargetFigures = z.output<typeof sizeTargetSchema>;
