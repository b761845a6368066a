import { z } from 'zod';

export const time = z.string().meta({ format: 'date-time', description: 'RFC 3339, UTC.' });
export const sha256 = z.string().describe('SHA-256, hexadecimal.');

/** What `POST /v1/thresholds` takes beside the scores, in a JSON body. */
export const thresholdOptionsSchema = z.strictObject({
  beta: z
    .number()
    .positive()
    .default(1)
    .describe('Deployment knob: floor(beta * N_eff) scores are kept, at least 1 and at most all.'),
  sign: z
    .enum(['abs', 'shift', 'clamp'])
    .default('abs')
    .describe(
      'What a sign means: `abs` nothing, `shift` scores count from the smallest, `clamp` negative ones count as 0.',
    ),
  include: z
    .array(z.enum(['keep_mask', 'kept_indices']))
    .default([])
    .describe('What to give beside the figures.'),
});
export type ThresholdOptions = z.output<typeof thresholdOptionsSchema>;

const scoreArray = z.array(z.number()).min(1);

/** Documents the JSON body. The scores themselves are checked by a loop of our own: see `score-input.ts`. */
export const thresholdRequestSchema = z
  .strictObject({
    scores: z
      .union([scoreArray, z.record(z.string(), scoreArray)])
      .describe('One array of scores, or several named ones, each decided on its own.'),
    ...thresholdOptionsSchema.shape,
  })
  .meta({ example: { scores: [0.5, 0, -0.5, 0], include: ['kept_indices'] } });

export const thresholdSchema = z
  .object({
    n: z.int().describe('Scores.'),
    n_eff: z.number().describe('Effective sample size, (sum |s|)^2 / sum s^2.'),
    n_keep: z.int().describe('Scores to keep, clamp(floor(beta * n_eff), 1, n).'),
    sparsity: z.number().describe('1 - n_keep / n.'),
    density: z.number().describe('n_keep / n.'),
    threshold: z
      .number()
      .describe('The smallest kept |s|. Equal scores at the threshold are kept lowest index first.'),
    preserved_mass: z.number().describe('Share of the sum of |s| that is kept.'),
    preserved_mass_bound: z.number().describe('What n, n_eff and n_keep guarantee of it. Tight.'),
    preserved_mass_bound_paper: z.number().nullable().describe("The paper's Theorem 4.2, where it holds."),
    beta: z.number(),
    sign: z.enum(['abs', 'shift', 'clamp']),
    keep_mask: z
      .string()
      .optional()
      .describe(
        'Base64. Bit `i` is bit `i & 7` of byte `i >> 3`, 1 = keep; the last byte is filled with zeros.',
      ),
    kept_indices: z.array(z.int()).optional().describe('Ascending.'),
  })
  .meta({
    id: 'Threshold',
    example: {
      n: 4,
      n_eff: 2,
      n_keep: 2,
      sparsity: 0.5,
      density: 0.5,
      threshold: 0.5,
      preserved_mass: 1,
      preserved_mass_bound: 0.7886751345948129,
      preserved_mass_bound_paper: 0.6666666666666666,
      beta: 1,
      sign: 'abs',
      kept_indices: [0, 2],
    },
  });

export const thresholdGroupsSchema = z
  .object({
    groups: z.array(z.object({ name: z.string(), ...thresholdSchema.shape })),
    total: z.object({ n: z.int(), n_keep: z.int(), sparsity: z.number() }),
  })
  .meta({ id: 'ThresholdGroups' });

export const modelSummarySchema = z
  .object({
    id: z.string().describe('Names the content: the same files under the same names have the same id.'),
    name: z.string().describe('The file that a client names: the model, or the index of its shards.'),
    format: z.enum(['onnx', 'safetensors']),
    sha256: sha256.describe(
      'Of the one file. Of several: of the lines `<sha256>  <name>` in name order, as sha256sum prints them.',
    ),
    size_bytes: z.int(),
    created_at: time,
    n_parameters: z
      .int()
      .describe('Elements of all parameters, floats and quantized weights, each shared tensor once.'),
    n_macs: z
      .int()
      .nullable()
      .optional()
      .describe(
        'Multiply-accumulates for one sample, as far as the shapes tell that the model declares: null where other axes than that of the samples are open, or a layer is not counted. A job counts them on its data. Absent of models that an earlier version took.',
      ),
    files: z.array(z.object({ name: z.string(), size_bytes: z.int(), sha256 })),
  })
  .meta({ id: 'ModelSummary' });

export const modelSchema = z
  .object({
    ...modelSummarySchema.shape,
    tensors: z.array(
      z.object({
        name: z.string(),
        shape: z.array(z.int()),
        dtype: z.string(),
        role: z
          .enum(['weight', 'other'])
          .describe('`weight`: a matrix or filter that a layer multiplies by. `other`: everything else.'),
        prunable: z.boolean().describe('Scored unless the recipe says otherwise.'),
        macs: z
          .int()
          .nullable()
          .optional()
          .describe(
            'Those of `n_macs` that multiply by it; null where it multiplies nothing, or `n_macs` is null.',
          ),
      }),
    ),
  })
  .meta({ id: 'Model' });

const array = z.object({ name: z.string(), shape: z.array(z.int()), dtype: z.string() });

const scoresSummarySchema = z
  .object({
    id: z.string(),
    kind: z.literal('scores'),
    sha256,
    size_bytes: z.int(),
    created_at: time,
  })
  .meta({ id: 'ScoresSummary' });

export const scoresDatasetSchema = z
  .object({ ...scoresSummarySchema.shape, arrays: z.array(array).describe('One per tensor.') })
  .meta({ id: 'ScoresDataset' });

const samplesSummarySchema = z
  .object({
    id: z.string(),
    kind: z.literal('samples'),
    sha256: sha256.describe(
      'Of the lines `<sha256>  inputs/<name>`, `<sha256>  constants/<name>` and `<sha256>  labels`, as far as there are such files, in name order, as sha256sum prints them.',
    ),
    size_bytes: z.int(),
    created_at: time,
    n_samples: z
      .int()
      .nullable()
      .describe(
        'The samples of every array, on axis 0 of one at least. Null where only a model tells which axes count them.',
      ),
    labels: array
      .omit({ name: true })
      .nullable()
      .describe("Class ids, next tokens, or numbers of the output's shape: the job tells them apart."),
  })
  .meta({ id: 'SamplesSummary' });

export const samplesDatasetSchema = z
  .object({
    ...samplesSummarySchema.shape,
    inputs: z
      .array(
        z.object({
          ...array.shape,
          constant: z.literal(true).optional().describe('It came among `constants`.'),
        }),
      )
      .describe('One per model input.'),
  })
  .meta({ id: 'SamplesDataset' });

/** Datasets without their arrays. */
export const datasetSummarySchema = z
  .discriminatedUnion('kind', [scoresSummarySchema, samplesSummarySchema])
  .meta({
    id: 'DatasetSummary',
    discriminator: {
      propertyName: 'kind',
      mapping: {
        scores: '#/components/schemas/ScoresSummary',
        samples: '#/components/schemas/SamplesSummary',
      },
    },
  });

export const datasetSchema = z.discriminatedUnion('kind', [scoresDatasetSchema, samplesDatasetSchema]).meta({
  id: 'Dataset',
  discriminator: {
    propertyName: 'kind',
    mapping: {
      scores: '#/components/schemas/ScoresDataset',
      samples: '#/components/schemas/SamplesDataset',
    },
  },
});

/** A parameter of a query. */
export const trueOrFalse = z.enum(['true', 'false']);
