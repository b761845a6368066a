import { z } from 'zod';
import { REPAIR_NAMES } from '../recipe/terms.ts';
import { allocationSchema } from './allocation-figures.ts';
import { decisionSchema } from './decision-schema.ts';
import { evaluationSchema } from './evaluation-figures.ts';
import { count, figure, share } from './figures.ts';
import { macsSchema } from './mac-figures.ts';
import { originSchema } from './origin.ts';
import { sensitivitySchema } from './sensitivity-figures.ts';
import { sizeTargetSchema } from './size-figures.ts';
import { warningCodeSchema } from './warning-codes.ts';

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
  n_eff: figure.describe("The tensor's own N_eff; null where all its scores are zero."),
  threshold: figure.describe(
    'The smallest kept score, before a repair chose masks; null with scope row, and for a tensor left as it is.',
  ),
  preserved_mass: share
    .nullable()
    .describe("Kept share of the tensor's mass; null where all its scores are zero."),
  score_histogram: scoreHistogramSchema,
  mask_sha256: z.string().describe('SHA-256 of the packed keep mask.'),
});

const scoresSchema = z
  .object({
    n_eff: figure.describe('N_eff of all scores as one vector, whatever the scope.'),
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

const structuresSchema = z
  .object({
    families: z
      .array(
        z.object({
          name: z.string(),
          kind: z.enum(['channel', 'head', 'kan_node', 'head_width', 'other']),
          n: count.describe('Structures.'),
          n_keep: count,
          sparsity: share,
          n_eff: figure.describe("The family's own N_eff; null where all its scores are zero."),
          threshold: z.number().describe('The smallest kept score.'),
          preserved_mass: share.nullable(),
          producers: z.array(z.string()).describe('Weights whose rows compute the structures.'),
          mask_sha256: z.string().describe('SHA-256 of the packed keep mask, one bit a structure.'),
        }),
      )
      .describe('Structures that lie along the same axes, such as the channels of one convolution.'),
    n_frozen: count,
    frozen: z
      .array(
        z.object({
          tensor: z.string(),
          axis: count,
          node: z.string().nullable(),
          operator: z.string().nullable(),
          reason: z.string(),
        }),
      )
      .describe('Axes of which some positions had to stay, and what says so; the first 1,000.'),
    parameters: z.object({ dense: count, pruned: count.nullable().describe('Null for a dry run.') }),
  })
  .describe('Of the structures that were scored.');

const repairSchema = z.object({
  name: z.enum(REPAIR_NAMES),
  kept: z
    .boolean()
    .describe(
      'Whether the model has it: without evaluation data always, where there was something to repair; else where it helped on samples that neither its fit nor the report sees: calibration samples that are kept out of the fit, or with a `target` those that are searched on.',
    ),
  problem: z.string().nullable().describe('Why it was undone; null where it was kept.'),
  n_repaired: count.describe('Layers, or BatchNormalizations, that were repaired.'),
  left_out: z
    .array(z.object({ name: z.string(), reason: z.string() }))
    .describe('Pruned weights, biases and nodes that it could not repair.'),
  moved: z
    .array(
      z.object({
        name: z.string(),
        n_moved: count.describe(
          'Weights that it keeps and scores did not; as many of the same rows go instead.',
        ),
      }),
    )
    .optional()
    .describe(
      'Of `least_squares_masks` and `swaps`, every weight that it repaired; only where it was kept do masks have that.',
    ),
  loss_before: figure.describe('With the repairs before it that were kept; null without labels.'),
  loss_after: figure.describe('With it; null without labels, or where it changed nothing.'),
  relative_l2_before: figure.describe('Likewise without labels; null with labels.'),
  relative_l2_after: figure,
});

const lossBoundSchema = z
  .object({
    per_trace: z
      .number()
      .describe(
        "(1 - rho) / (2 N rho) * ||theta - theta'||^2, theta the N selected weights, theta' the pruned ones before any repair, rho = n_keep / n.",
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

/** `report.json`, version 1. Of two runs of the same job only latencies, and what quotes them, differ; with a target of speed what these decide too. */
export const reportSchema = z.object({
  schema_version: z.literal(1),
  model: z.object({
    name: z.string(),
    sha256: z.string(),
    format: z.enum(['onnx', 'safetensors']),
    size_bytes: count,
  }),
  decision: decisionSchema,
  recipe: z.record(z.string(), z.unknown()).describe('The recipe with its defaults filled in.'),
  total: z.object({
    n: count,
    n_keep: count,
    sparsity: share,
    n_eff: figure.describe('Null unless the scope is global: there is one per tensor or row.'),
    threshold: figure.describe('Null unless the scope is global, and where `allocation` shares the total.'),
    preserved_mass: share,
    preserved_mass_bound: share.describe(
      'What n, n_eff and n_keep guarantee of it; 0 where a repair chose masks, of which nothing is guaranteed.',
    ),
  }),
  untouched: z
    .object({
      n: count,
      share: share.describe("Of all the model's parameters."),
      n_tensors: count,
      tensors: z
        .array(z.object({ name: z.string(), dtype: z.string(), n: count.describe('Parameters.') }))
        .describe('The largest of them.'),
    })
    .describe(
      'Parameters of matrices that the job could not reach: in a format that is not read, behind an operator that is not known, looked up, or frozen. What the recipe itself leaves out is not among them, nor are vectors, such as biases.',
    ),
  tensors: z.array(tensorSchema).describe('Empty where structures were removed.'),
  scores: scoresSchema,
  evaluation: evaluationSchema.nullable().describe('Null without evaluation data.'),
  allocation: allocationSchema.nullable().describe('Null unless `allocation` of the recipe is auto.'),
  sensitivity: sensitivitySchema.nullable().describe('Null unless the recipe asks for it.'),
  repair: z.array(repairSchema).describe('The repairs of the recipe, in its order.'),
  structures: structuresSchema.nullable().describe('Null where the granularity is weight.'),
  verdict: z.object({
    text: z.string(),
    warnings: z.array(z.object({ code: warningCodeSchema, text: z.string() })),
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
  macs: macsSchema,
  size_target: sizeTargetSchema.nullable().describe('Null without a target of size.'),
  artifacts: z.array(z.object({ name: z.string(), sha256: z.string() })),
  origin: originSchema.nullable().describe('Null where no service ran the job.'),
  environment: z.object({
    version: z.string(),
    onnxruntime: z.string().nullable(),
    execution_provider: z.string().nullable().describe('Null where no model was run.'),
  }),
});

export type Report = z.output<typeof reportSchema>;
export type TensorReport = Report['tensors'][number];
export type FamilyReport = NonNullable<Report['structures']>['families'][number];
export type Evaluation = NonNullable<Report['evaluation']>;
/** All that a decision is made of. */
export type Undecided = Omit<Report, 'decision'>;
