import { z } from 'zod';
import { SHARING_RULE_NAMES, SHARING_RULES } from '../recipe/allocations.ts';
import { listMeanings } from '../recipe/words.ts';
import { count, figure } from './figures.ts';

const rule = z.enum(SHARING_RULE_NAMES);
const ofTensors = z.array(count).describe('Weights that each tensor keeps, in the order of `tensors`.');

/** How a total was shared among the tensors. */
export const allocationSchema = z
  .object({
    rule: rule.describe('The one that the model was pruned by, but for moves.'),
    by: z
      .enum(['kl', 'relative_l2'])
      .describe(
        'What had to be least: the KL divergence where the output is known to be of classes, as a Softmax makes it or the evaluation data have class ids for labels; else the relative L2 drift.',
      ),
    candidates: z.array(
      z.object({
        rule,
        kl: figure.describe('Of the model, repaired as the job asks, on the calibration samples.'),
        relative_l2: figure,
        n_keep: ofTensors,
      }),
    ),
    moves: z
      .object({ n_tried: count, n_kept: count, kl: figure, relative_l2: figure, n_keep: ofTensors })
      .nullable()
      .describe('What `allocation_moves` made of what that rule gave; null without any.'),
  })
  .describe(
    `How \`allocation\` \`auto\` shared among the tensors what scope and amount keep in all. ${listMeanings(SHARING_RULES, ({ meaning }) => meaning)}.`,
  );

export type AllocationFigures = z.output<typeof allocationSchema>;
