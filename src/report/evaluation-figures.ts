import { z } from 'zod';
import { LOSSES, METRIC_NAMES, METRICS, type MetricName } from '../recipe/terms.ts';
import { count, figure, share } from './figures.ts';
import { speedTargetSchema } from './speed-figures.ts';
import { targetFigures } from './target-figures.ts';

/** What is measured of one model. */
const metricsSchema = z.object(
  Object.fromEntries(METRIC_NAMES.map((name) => [name, figure.describe(METRICS[name].meaning)])) as Record<
    MetricName,
    typeof figure
  >,
);

const latencySchema = z.object({
  latency_ms: figure.describe(
    "Median of one batch, dense and pruned in turn, at onnxruntime's default `graphOptimizationLevel`, `all`; null where it was not measured.",
  ),
  latency_extended_ms: figure.describe(
    'The same at level `extended`, where convolutions have no blocked layout; null where the granularity is weight, whose zeros change nothing.',
  ),
});

/** How sure what is measured of a pruned model is. */
const errorsSchema = z.object({
  loss_increase_standard_error: figure.describe('Of the paired difference of the losses, over samples.'),
  accuracy_drop_standard_error: figure.describe('Of the paired difference of the accuracies, over samples.'),
  disagreement_standard_error: figure.describe('Of `1 - top1_agreement`, over samples.'),
  relative_l2_standard_error: figure.describe('Of `relative_l2`, over samples.'),
  kl_standard_error: figure.describe('Of `kl`, over samples.'),
  cosine_distance_standard_error: figure.describe('Of `cosine_distance`, over samples.'),
});

/** How far one output is from the dense model's. */
const outputSchema = z.object({
  name: z.string(),
  relative_l2: metricsSchema.shape.relative_l2,
  cosine: metricsSchema.shape.cosine,
  top1_agreement: metricsSchema.shape.top1_agreement,
  kl: metricsSchema.shape.kl,
  cosine_distance: metricsSchema.shape.cosine_distance,
});

const speedupSchema = z.object({
  level: z.enum(['all', 'extended']).describe("Of onnxruntime's graph optimizations."),
  speedup: z.number().describe('Median over rounds of the dense time by the pruned one of the same round.'),
  low: z.number().describe('Of the 95 % interval of that median, between two of the rounds.'),
  high: z.number(),
  noise: z
    .number()
    .describe(
      'Dense against dense in the same run, as a share: what two sessions of the dense model differ by (the farther end of the 95 % interval), or one round from the next in the median, if that is more. A speedup whose interval is not wholly beyond it, either way, is no difference.',
    ),
  rounds: count,
});

const pointSchema = z.object({ sparsity: share, ...metricsSchema.shape, ...errorsSchema.shape });
const betaPointSchema = z.object({ beta: z.number(), ...pointSchema.shape });

const promiseSchema = z
  .object({
    test: z
      .enum(['exact_paired', 'harmful_flips', 'binomial', 'mixture_of_bets'])
      .describe(
        'By which "the true cost is above the limit" is tested; of several outputs, in the one that shows least.',
      ),
    p_value: share.describe(
      'An upper bound of the chance of figures as good as these, or better, were the true cost just above the limit; 1 where they show nothing.',
    ),
    certified: figure.describe(
      'With `confidence`: what the figures show with it, which is the limit of the target, in its unit; null where they do not show it.',
    ),
    n_needed: count
      .nullable()
      .describe(
        'The fewest samples that no choice saw that could show the limit (with confidence 0.95 unless another is asked for), of a model that changes nothing; null where no number could.',
      ),
    counted_up_to: figure.describe(
      'What one sample counts up to at most, in the unit of the loss or of squared distances: without a bound nothing can be shown. Null where samples are bounded by themselves.',
    ),
    ladder: z
      .array(betaPointSchema.extend({ p_value: share }))
      .describe(
        'With `confidence`: what was tested, ever sparser, up to the first that fails; the one before it is the model.',
      ),
    uses: count
      .nullable()
      .describe(
        'With `confidence`: how many promises these samples have been tested for, this one included. Each is another chance to be wrong.',
      ),
  })
  .describe('What the samples that no choice saw say of the target.');

export const evaluationSchema = z
  .object({
    loss_kind: z
      .enum(Object.keys(LOSSES) as (keyof typeof LOSSES)[])
      .nullable()
      .describe(
        'What `loss` is: cross-entropy of class ids, binary cross-entropy of labels that have the shape of an output made by Sigmoid, squared errors of float labels that have the shape of any other output; the first two in nats. Null without labels.',
      ),
    metric_names: z
      .array(z.string())
      .describe('The metrics that are not null for the dense model, or drift without labels.'),
    output: z
      .string()
      .describe(
        'The output of the model that labels go with; of several that are compared without labels, the first.',
      ),
    outputs: z
      .array(outputSchema)
      .optional()
      .describe(
        'Where several outputs are compared with the dense model: those of the pruned model, `output` first. Everywhere else drift is each figure of the output that it is worst of.',
      ),
    n_samples: count,
    n_positions: count.describe(
      'Of them, or of their positions (numbers, where labels have the shape of the output), those that count.',
    ),
    batch_size: count.nullable().describe('Samples of the batch that latency was measured with.'),
    dense: z.object({ ...metricsSchema.shape, ...latencySchema.shape }),
    pruned: z.object({
      ...metricsSchema.shape,
      ...latencySchema.shape,
      ...errorsSchema.shape,
    }),
    speedups: z
      .array(speedupSchema)
      .describe(
        'How the latencies compare; level `extended` where structures were removed. Empty where none was measured.',
      ),
    guess: z
      .object({ loss: figure, accuracy: figure })
      .nullable()
      .describe(
        'What the same answer for every sample would reach; null without labels, or with fewer than 2.',
      ),
    one_answer: z
      .boolean()
      .describe(
        'Whether the pruned model predicts the same for every sample, or its outputs no longer vary, and those of the dense one do.',
      ),
    variance: z
      .object({
        kept: figure.describe(
          "The variance of the pruned model's outputs over samples as a share of the dense model's; null where that does not vary.",
        ),
        explained: figure.describe(
          'R2 against the dense model: 1 less squared distances by squared deviations from its mean. Null where the drift is not measured.',
        ),
      })
      .optional()
      .describe(
        'What is left of the variance of the outputs over samples, which a large mean hides from relative L2; of several outputs the least. Missing in older reports.',
      ),
    beta_1: pointSchema.nullable().describe("EMP's own answer, where it was measured."),
    uniform: pointSchema
      .nullable()
      .describe(
        'The same criterion and total sparsity spread evenly (counts of structures are rounded up here too, so that its own `sparsity` may be another); null where the recipe does just that.',
      ),
    sweep: z.array(betaPointSchema).describe('One point for each of `sweep_betas`.'),
    search: z
      .object({
        target: targetFigures,
        met: z
          .boolean()
          .describe(
            'Whether the figures of `pruned`, on samples that no choice saw, stay within the target; with `confidence`, whether they show it.',
          ),
        found: z
          .boolean()
          .describe(
            'Whether a beta stayed within it where it was searched, by one standard error unless there is a confidence. False: the model is the nearest.',
          ),
        given: z
          .boolean()
          .optional()
          .describe('Whether the recipe gave the beta, so that none was searched.'),
        beta: z.number().describe('The one that the model was pruned at.'),
        evaluations: z
          .array(betaPointSchema)
          .describe('All that was measured on the way, in order, on the samples that were searched on.'),
        dense: z.object(metricsSchema.shape).describe('The dense model on those samples.'),
        n_samples: count.describe(
          'Of those that were searched on: the selection data, or half of the evaluation data. `n_samples` of the evaluation are others.',
        ),
        seed: count
          .nullable()
          .describe('By which the evaluation data were halved; null where selection data were searched on.'),
        promise: promiseSchema,
      })
      .nullable(),
    speed_target: speedTargetSchema.nullable().describe('Null without a target of speed.'),
  })
  .describe('Measured on the evaluation data.');
