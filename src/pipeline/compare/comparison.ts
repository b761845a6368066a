import { z } from 'zod';
import { METRIC_NAMES, METRICS, type MetricName } from '../../recipe/terms.ts';

const count = z.int();
const figure = z.number().nullable();

const sideSchema = z.object({
  name: z.string(),
  sha256: z.string(),
  format: z.enum(['onnx', 'safetensors']),
  size_bytes: count,
  n_parameters: count,
});

const choiceSchema = z.object({
  n_keep: count,
  preserved_mass: figure.describe(
    'Share of the sum of |w| of the original that it keeps; null where that is 0.',
  ),
  jaccard: figure.describe(
    'Weights that both masks keep, of those that either does; null where neither keeps any.',
  ),
  shared: figure.describe(
    "Of the weights that the pruned model keeps, the share that EMP's choice keeps too.",
  ),
});

/** Two keep masks of one size beside each other. */
const masksSchema = z.object({
  n: count.describe('Weights.'),
  n_keep: count.describe('Of them, those that are not zero in the pruned model.'),
  preserved_mass: choiceSchema.shape.preserved_mass,
  global: choiceSchema.describe(
    'The largest magnitudes of all tensors together, as many in all as the pruned model keeps.',
  ),
  layer: choiceSchema.describe('The largest magnitudes of each tensor, as many in each.'),
});

const tensorSchema = z.object({
  name: z.string().describe('In the original.'),
  pruned_name: z.string(),
  matched_by: z
    .enum(['name', 'position', 'content'])
    .describe(
      '`position`: it was renamed, and the same node of both graphs reads it at the same input. `content`: what has its name or place has nothing in common with it, and these are its values.',
    ),
  dtype: z.string(),
  pruned_dtype: z.string(),
  shape: z.array(count),
  pruned_shape: z.array(count),
  prunable: z.boolean().describe('Whether a recipe selects it unless it says otherwise.'),
  change: z
    .enum(['unchanged', 'masked', 'refitted', 'not_finite', 'removed', 'not_compared'])
    .describe(
      '`masked`: zeros came, and no other weight changed. `refitted`: weights that stayed have other values. `not_finite`: some became NaN or infinite. `removed`: whole positions of an axis are gone. `not_compared`: see `reason`.',
    ),
  reason: z.string().nullable().describe('Why it cannot be compared.'),
  removed: z
    .array(z.object({ axis: count, from: count, to: count }))
    .nullable()
    .describe('Axes of which positions are gone, and how many there were and are.'),
  n: count.describe('Weights of the original.'),
  n_keep: count.nullable().describe('Weights of the pruned model that are not zero.'),
  not_finite: count
    .nullable()
    .describe('Of these, those that are NaN or infinite, and are not the same in the original.'),
  sparsity: figure.describe('1 - n_keep / n; null of a tensor that has become larger.'),
  zeros_added: count.nullable(),
  zeros_filled: count.nullable().describe('Zeros of the original that are none any more.'),
  values_changed: count
    .nullable()
    .describe('Finite weights that are zero in neither, and differ, by more than the pruned format rounds.'),
  mask_sha256: z
    .string()
    .nullable()
    .describe('Of its mask in `masks.safetensors`, where it is compared with the choice of EMP.'),
  masks: masksSchema.nullable(),
});

const metrics = Object.fromEntries(
  METRIC_NAMES.map((name) => [name, figure.describe(METRICS[name].meaning)]),
) as Record<MetricName, typeof figure>;

const measuredSchema = z.object({
  sparsity: figure.describe('Of the weights that are compared.'),
  ...metrics,
  loss_increase_standard_error: figure,
  accuracy_drop_standard_error: figure,
  disagreement_standard_error: figure,
  relative_l2_standard_error: figure,
});

const leadSchema = z.object({
  difference: figure.describe(
    "The other mask's figure less that of EMP's: above 0 EMP's is better. Null where one is not finite.",
  ),
  standard_error: figure.describe('Of the difference, over samples, paired.'),
});

const evaluationSchema = z.object({
  loss_kind: z.string().nullable(),
  output: z.string(),
  n_samples: count,
  n_positions: count,
  original: z.object(metrics),
  pruned: measuredSchema.describe('The pruned model as it was given.'),
  pruned_mask: measuredSchema
    .nullable()
    .describe(
      "Its mask on the values of the original, where it has others; what EMP's masks are held against then.",
    ),
  global: measuredSchema.describe("EMP's mask of the same size on the values of the original."),
  layer: measuredSchema.describe('The same with as many weights in each tensor as the pruned model has.'),
  better: z
    .object({
      metric: z
        .enum(['loss', 'squared_relative_l2'])
        .describe(
          'Less is better: the loss, or without labels squared distances of outputs to those of the original.',
        ),
      found: z.boolean().describe('Whether a mask of that size with a lower figure was found.'),
      by: z.enum(['global', 'layer']).nullable().describe('Of those found the best.'),
      beyond_error: z
        .boolean()
        .describe(
          'Whether its lead is more than 2.24 standard errors: 95 % for the better of two, each a try of its own.',
        ),
      global: leadSchema,
      layer: leadSchema,
    })
    .describe('Whether a better mask of that size was found.'),
});

/** What two models have in common, what changed, and what EMP would have kept. */
export const comparisonSchema = z
  .object({
    schema_version: z.literal(1),
    original: sideSchema,
    pruned: sideSchema,
    verdict: z.array(z.string()).describe('What was found, in sentences.'),
    total: z.object({
      n: count.describe('Weights of the original in the tensors that are compared by size.'),
      n_keep: count.describe(
        'Of them, those that the pruned model has and that are not zero. What only the pruned model has counts in the place of what only the original has.',
      ),
      n_missing: count.describe('Of them, those in tensors that the pruned model lacks.'),
      sparsity: z.number(),
      zeros_added: count,
      values_changed: count,
      not_finite: count.describe('Of all tensors that both models have.'),
      is_mask: z
        .boolean()
        .describe(
          'Whether no weight that stayed has another value, no shape changed, and both models have the same weights, all compared.',
        ),
      masks: masksSchema.nullable().describe('Over the tensors that kept their shape; null where none did.'),
    }),
    tensors: z.array(tensorSchema).describe('Tensors of floats and quantized weights that both models have.'),
    only_in_original: z.array(z.string()),
    only_in_pruned: z.array(z.string()),
    evaluation: evaluationSchema.nullable().describe('Null without evaluation data.'),
  })
  .meta({ id: 'Comparison' });

export type Comparison = z.output<typeof comparisonSchema>;
export type ComparedTensor = Comparison['tensors'][number];
export type ComparedMasks = z.output<typeof masksSchema>;
export type ComparedChoice = z.output<typeof choiceSchema>;
export type ComparedEvaluation = z.output<typeof evaluationSchema>;
