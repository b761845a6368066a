import { z } from 'zod';
import { WARNING_CODES, type WarningCode } from './warning-codes.ts';

const warningCodes = Object.keys(WARNING_CODES) as [WarningCode, ...WarningCode[]];
const warningMeanings = Object.entries(WARNING_CODES)
  .map(([code, meaning]) => `\`${code}\`: ${meaning}`)
  .join(' ');

const count = z.int().nonnegative();
const share = z.number().min(0).max(1);

const scoreHistogramSchema = z
  .object({
    log2_min: z.int().describe('`counts[i]` scores lie in [2^(log2_min + i), 2^(log2_min + i + 1)).'),
    counts: z.array(count),
    zero: count.describe(
      'Scores that are zero or too small for a normal float32 (float64 for float64 scores).',
    ),
  })
  .describe('How the importance scores spread, in powers of two.');

const tensorSchema = z.object({
  name: z.string(),
  shape: z.array(count),
  dtype: z.string(),
  n: count,
  n_keep: count,
  sparsity: share,
  n_eff: z.number().nullable().describe("The tensor's own N_eff; null where all its scores are zero."),
  threshold: z
    .number()
    .nullable()
    .describe('The smallest kept score; null with scope row, and for a tensor left as it is.'),
  preserved_mass: share
    .nullable()
    .describe("Kept share of the tensor's mass; null where all its scores are zero."),
  score_histogram: scoreHistogramSchema,
  mask_sha256: z.string().describe('SHA-256 of the packed keep mask.'),
});

const figure = z.number().nullable();

/** What is measured of one model. */
const metricsSchema = z.object({
  loss: figure.describe(
    'Mean cross-entropy over the positions that count; null without labels, or where it is not finite.',
  ),
  accuracy: figure.describe('Top-1; null without labels.'),
  perplexity: figure.describe('exp(loss), where the output is a sequence of logits.'),
  relative_l2: figure.describe('||y - y_dense|| / ||y_dense||; null with labels.'),
  cosine: figure.describe('Between y and y_dense; null with labels.'),
  top1_agreement: figure.describe("Share of positions with the dense model's top-1; null with labels."),
});

const latency_ms = z
  .number()
  .nullable()
  .describe('Median of one batch, dense and pruned in turn; null where it was not measured.');

const pointSchema = z.object({ sparsity: share, ...metricsSchema.shape });
const betaPointSchema = z.object({ beta: z.number(), ...pointSchema.shape });

const evaluationSchema = z
  .object({
    metric_names: z
      .array(z.string())
      .describe('The metrics that are not null for the dense model, or drift without labels.'),
    output: z.string().describe('The output of the model that is measured.'),
    n_samples: count,
    n_positions: count.describe('Of them, or of their positions, those that count.'),
    batch_size: count.nullable().describe('Samples of the batch that latency was measured with.'),
    dense: z.object({ ...metricsSchema.shape, latency_ms }),
    pruned: z.object({
      ...metricsSchema.shape,
      latency_ms,
      loss_increase_standard_error: figure.describe('Of the paired difference of the losses, over samples.'),
      accuracy_drop_standard_error: figure.describe(
        'Of the paired difference of the accuracies, over samples.',
      ),
    }),
    beta_1: pointSchema.nullable().describe("EMP's own answer, where it was measured."),
    uniform: pointSchema
      .nullable()
      .describe('The same criterion and total sparsity spread evenly; null where the recipe does just that.'),
    sweep: z.array(betaPointSchema).describe('One point for each of `sweep_betas`.'),
    search: z
      .object({
        target: z.object({
          max_loss_increase: z.number().optional(),
          max_accuracy_drop: z.number().optional(),
        }),
        met: z.boolean().describe('False: the model is the nearest that was found.'),
        beta: z.number().describe('The one that the model was pruned at.'),
        evaluations: z.array(betaPointSchema).describe('All that was measured on the way, in order.'),
      })
      .nullable(),
  })
  .describe('Measured on the evaluation data.');

const scoresSchema = z
  .object({
    n_eff: z.number().nullable().describe('N_eff of all scores as one vector, whatever the scope.'),
    edges: z
      .array(z.number())
      .describe('Bounds of the bins, ascending: bin i holds the scores in [edges[i], edges[i + 1]).'),
    counts: z.array(count),
    zero: count.describe('Scores below the first edge.'),
    lorenz: z
      .array(z.tuple([share, share]))
      .describe(
        '`[share of components kept, highest scores first; share of the mass they hold]`, from (0, 0) to (1, 1).',
      ),
  })
  .describe('How all scores together are distributed.');

const lossBoundSchema = z
  .object({
    per_trace: z
      .number()
      .describe(
        "(1 - rho) / (2 N rho) * ||theta - theta'||^2, theta the N selected weights, theta' the pruned ones, rho = n_keep / n.",
      ),
    hessian_trace: figure.describe(
      'Trace of the Hessian of the mean loss at theta: the one given, or the mean over `hessian_probes` random vectors.',
    ),
    standard_error: figure.describe('Of that mean.'),
    bound: figure.describe('per_trace * hessian_trace; null where the trace is unknown or negative.'),
    asymptotic: figure.describe("The paper's Eq. 5, likewise."),
  })
  .describe(
    'An estimate of the loss change, second-order and asymptotic (arXiv 2306.05857, Lemma 3.1): not a guarantee. The measured change is in `evaluation`.',
  );

/** `report.json`, version 1. Of two runs of the same job only `latency_ms`, and the warning that quotes it, differ. */
export const reportSchema = z.object({
  schema_version: z.literal(1),
  model: z.object({
    name: z.string(),
    sha256: z.string(),
    format: z.enum(['onnx', 'safetensors']),
    size_bytes: count,
  }),
  recipe: z.record(z.string(), z.unknown()).describe('The recipe with its defaults filled in.'),
  total: z.object({
    n: count,
    n_keep: count,
    sparsity: share,
    n_eff: z.number().nullable().describe('Null unless the scope is global: there is one per tensor or row.'),
    threshold: z.number().nullable().describe('Null unless the scope is global.'),
    preserved_mass: share,
    preserved_mass_bound: share,
  }),
  tensors: z.array(tensorSchema),
  scores: scoresSchema,
  evaluation: evaluationSchema.nullable().describe('Null without evaluation data.'),
  repair: z.array(z.never()),
  structures: z.null(),
  verdict: z.object({
    text: z.string(),
    warnings: z.array(z.object({ code: z.enum(warningCodes).describe(warningMeanings), text: z.string() })),
  }),
  loss_bound: lossBoundSchema.nullable().describe('Null unless the criterion is magnitude.'),
  sizes: z.object({
    dense_bytes: count,
    pruned_bytes: count.nullable().describe('Null for a dry run.'),
    dense_zstd_bytes: count,
    pruned_zstd_bytes: count.nullable(),
    zstd_estimated: z.boolean().describe('Sizes of files above 64 MB come from a sample.'),
    mask_bytes: count,
  }),
  artifacts: z.array(z.object({ name: z.string(), sha256: z.string() })),
  environment: z.object({
    version: z.string(),
    onnxruntime: z.string().nullable(),
    execution_provider: z.string().nullable().describe('Null where no model was run.'),
  }),
});

export type Report = z.output<typeof reportSchema>;
export type TensorReport = Report['tensors'][number];
export type Evaluation = NonNullable<Report['evaluation']>;
