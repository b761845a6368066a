import { z } from 'zod';

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

/** `report.json`, version 1. Holds nothing that differs between two runs of the same job. */
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
  evaluation: z.null(),
  repair: z.array(z.never()),
  structures: z.null(),
  verdict: z.object({
    text: z.string(),
    warnings: z.array(z.object({ code: z.string(), text: z.string() })),
  }),
  loss_bound: z.null(),
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
    execution_provider: z.string().nullable().describe('Null where nothing was executed, as for magnitude.'),
  }),
});

export type Report = z.output<typeof reportSchema>;
export type TensorReport = Report['tensors'][number];
