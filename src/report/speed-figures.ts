import { z } from 'zod';
import { SPEED_TARGET_NAMES } from '../recipe/speed-targets.ts';
import { count, figure, share } from './figures.ts';

/** Of the rounds of one measurement. */
const reached = {
  reached: z
    .number()
    .describe(
      'The median over rounds: of the dense time by the pruned one of the same round, or of the milliseconds of the pruned model.',
    ),
  low: z.number().describe('Of the 95 % interval of that median, between two of the rounds.'),
  high: z.number(),
};

/** What became of a target of speed. */
export const speedTargetSchema = z
  .object({
    name: z.enum(SPEED_TARGET_NAMES),
    limit: z.number(),
    ...reached,
    met: z.boolean().describe('Whether all of the interval keeps the limit.'),
    beta: z.number().describe('The one that the model was pruned at.'),
    largest: figure.describe(
      'The largest beta that was looked at whose model kept the limit by twice the noise; null where none did, and then the smallest model was taken. With a target of quality the model may be of another beta, which that has chosen.',
    ),
    rounds: count.describe('Runs of each model that were timed, dense and pruned in turn.'),
    batch_size: count.describe('Samples of a run.'),
    threads: count.describe('Of one operator.'),
    execution_provider: z.string(),
    other_cores: figure.describe(
      'CPU cores that anything else on the machine took meanwhile, on average; null where the system does not tell.',
    ),
    alone: z.boolean().describe('Whether that is known, and less than a quarter of a core.'),
    evaluations: z
      .array(z.object({ beta: z.number(), sparsity: share, ...reached }))
      .describe(
        'All models that were timed on the way, in order; the figures above are of a measurement after these.',
      ),
  })
  .describe('What became of a target of speed. Of two runs of the same job it differs.');

export type SpeedTargetFigures = z.output<typeof speedTargetSchema>;
