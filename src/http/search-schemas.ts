import { z } from 'zod';
import { MAX_TOLD } from '../jobs/external-step.ts';
import { JOB_STATUSES } from '../jobs/job.ts';
import { ordersOf } from '../jobs/job-query.ts';
import { searchShape } from '../recipe/lines.ts';
import { METRICS } from '../recipe/terms.ts';
import { jobRequestSchema, jobSchema } from './job-schemas.ts';
import { wholeParameter } from './parameters.ts';
import { problemSchema } from './problem.ts';
import { idParamsSchema } from './resource-routes.ts';
import { time, trueOrFalse } from './schemas.ts';

const { model_id, calibration_dataset_id, selection_dataset_id, priority, metadata, webhook } =
  jobRequestSchema.shape;

export const searchRequestSchema = z
  .strictObject({
    model_id,
    selection_dataset_id: selection_dataset_id.describe(
      'The samples that candidates are measured and chosen on, so that the best is reported, and its promise tested, on all evaluation samples. Without it these are halved.',
    ),
    evaluation_dataset_id: jobRequestSchema.shape.evaluation_dataset_id.describe(
      'The samples that the best model is reported on; without selection data on one half of them, and candidates are chosen on the other. With labels for a promise of loss or accuracy. Needed unless the promise is `external`.',
    ),
    calibration_dataset_id: calibration_dataset_id.describe(
      'The samples that data-driven criteria run the model on, and that repairs are fitted to. Without it fewer lines are tried, and nothing is repaired.',
    ),
    ...searchShape,
    priority,
    metadata,
    webhook,
  })
  .refine(
    ({ promise, evaluation_dataset_id }) => promise.external !== undefined || evaluation_dataset_id !== null,
    {
      message: 'is needed: the promise is tested on these samples',
      path: ['evaluation_dataset_id'],
    },
  )
  .meta({
    example: {
      model_id: 'mdl_0123456789abcdefghjkmnpqrs',
      calibration_dataset_id: 'dat_0123456789abcdefghjkmnpqrs',
      evaluation_dataset_id: 'dat_1123456789abcdefghjkmnpqrs',
      promise: { max_accuracy_drop: 0.01, confidence: 0.95 },
      aim: 'size',
    },
  });

const measured = z.number().nullable();
const recipe = z.looseObject({}).describe('As in a job: what makes this model.');

const candidateSchema = z.object({
  line: z.int().describe('Its place in `lines`.'),
  recipe: recipe.describe(
    'A job with this recipe, the same model and the same datasets gives this model, byte for byte, and reports it on the samples that no choice saw.',
  ),
  sparsity: z.number(),
  parameters: z.int().describe('Those that pruning has left.'),
  bytes: z.int().describe("Of the model's files."),
  compressed_bytes: z.int().describe('By zstd; of files above 64 MB an estimate.'),
  macs: z
    .int()
    .nullable()
    .describe('Multiply-accumulates for one sample; zeros count as what they are multiplied as.'),
  speedup: measured.describe('Latency of the dense model by its own; measured where the aim is speed.'),
  speedup_is_difference: z
    .boolean()
    .nullable()
    .describe('Whether it is more than what the dense model differs from itself by, round by round.'),
  loss: measured,
  accuracy: measured,
  top1_agreement: measured.describe(METRICS.top1_agreement.meaning),
  kl: measured,
  cosine_distance: measured,
  relative_l2: measured,
  standard_error: measured.describe(
    'Of what the promise bounds; of `max_loss_increase` in the unit of the loss.',
  ),
  within: z
    .boolean()
    .describe(
      'Whether it stays within the promise on the samples that are chosen on. Whether the best does is seen on others.',
    ),
});

/** Figures of a candidate that lists are sorted by. */
const CANDIDATE_FIGURES = [
  'sparsity',
  'parameters',
  'bytes',
  'compressed_bytes',
  'macs',
  'speedup',
  'loss',
  'accuracy',
  'top1_agreement',
  'kl',
  'cosine_distance',
  'relative_l2',
] as const;
export type CandidateFigure = (typeof CANDIDATE_FIGURES)[number];

/** How the candidates of a search are asked for. */
export const candidateQuerySchema = z.strictObject({
  within: trueOrFalse.optional().describe('Candidates that stay within the promise, or do not.'),
  line: wholeParameter(z.int().min(0)).optional().describe('Candidates of this one of `lines`.'),
  sort: z
    .enum(ordersOf(CANDIDATE_FIGURES))
    .optional()
    .describe(
      'A figure of the candidates, least first; with `-` in front largest first. Those without it are left out. Without `sort`, and among equal figures, they come as they were tried.',
    ),
});
export type CandidateQuery = z.output<typeof candidateQuerySchema>;

export const candidatesSchema = z.object({
  data: z.array(
    candidateSchema.extend({
      number: z
        .int()
        .describe(
          'Its place in `candidates` of the search, which `front` names it by. It may change while the search goes on.',
        ),
    }),
  ),
});
export type CandidatesView = z.output<typeof candidatesSchema>;

/** A candidate that a client measures. */
const askedSchema = z.object({
  recipe: recipe.nullable().describe('Null of candidate 0, the dense model.'),
  job_id: z.string().nullable().describe('The job whose artifact it is; null of the dense model.'),
  status: z.enum(JOB_STATUSES).describe('Of that job: when it has succeeded there is a model to measure.'),
  metric: measured.describe('What it was told to be worth; null until then.'),
  drop: measured.describe("By how much that is worse than the dense model's; null until both are known."),
  within: z.boolean().nullable(),
  sparsity: measured,
  bytes: z.int().nullable(),
  compressed_bytes: z.int().nullable(),
});

const lineSchema = z.object({
  recipe: recipe.describe('Without an amount.'),
  job_id: z.string().nullable().describe('The job that tries it; null until it is its turn.'),
  status: z
    .enum([...JOB_STATUSES, 'waiting', 'not_tried'])
    .describe('Of that job; `waiting` before, and `not_tried` where the search has ended without it.'),
  error: z.string().nullable().describe('Why it was left.'),
});

const entryFields = {
  id: z.string(),
  status: z
    .enum([...JOB_STATUSES, 'waiting'])
    .describe(
      '`waiting`: for what a metric of the client says of a candidate. `running` from the first line on that is tried; `succeeded` also where nothing is within the promise: `best` is null then.',
    ),
  progress: z.object({
    stage: z.string().describe('`queued`, `explore`, then `write`: the best model.'),
    percent: z.number().describe('0 to 100; lines differ in what they take.'),
  }),
  model_id: z.string(),
  calibration_dataset_id: z.string().nullable(),
  selection_dataset_id: z.string().nullable(),
  evaluation_dataset_id: z.string().nullable(),
  promise: z.looseObject({}),
  aim: searchShape.aim,
  created_at: time,
  finished_at: time.nullable(),
  error: problemSchema.nullable().describe('Why the search failed.'),
  best: z
    .object({
      recipe,
      job: jobSchema.describe('The job that writes it; its report is of the samples that no choice saw.'),
      met: z.boolean().nullable().describe('Whether these keep the promise; null until it is known.'),
      certified: measured.describe('The limit that was shown with its confidence.'),
      missed: z
        .array(z.string())
        .describe(
          'Jobs of better models that kept the promise where they were chosen and missed it on these samples. Each look at them is another chance for `met`; four are taken at most, and one with `confidence`.',
        ),
    })
    .nullable()
    .describe(
      'The model to take: artifacts and report are those of its job. Null until it is being written, and where no candidate is within the promise.',
    ),
  metadata: z.record(z.string(), z.string()),
};

/** A search in a list: what it has tried is told by itself. */
export const searchEntrySchema = z.object(entryFields).meta({ id: 'SearchEntry' });

export const searchSchema = z
  .object({
    ...entryFields,
    limits: z.looseObject({ max_candidates: z.int(), max_seconds: z.int().optional() }),
    allow: z.looseObject({}),
    seed: z.int(),
    dense: z
      .object({
        parameters: z.int(),
        bytes: z.int(),
        compressed_bytes: z.int(),
        macs: z.int().nullable(),
        loss: measured,
        accuracy: measured,
      })
      .nullable()
      .describe('The model itself, on the samples that are chosen on; null until a line has ended.'),
    candidates: z.array(candidateSchema).describe('All that were pruned and measured, line by line.'),
    front: z
      .array(z.int())
      .describe(
        'Places in `candidates` of those that no other beats both in what the aim lessens and in what the promise bounds, the smallest first.',
      ),
    external: z
      .array(askedSchema)
      .nullable()
      .describe('Candidates by their numbers where the promise is `external`; else null.'),
    lines: z.array(lineSchema).describe('The recipes, amounts aside, in the order in which they are tried.'),
    left_out: z
      .array(z.object({ recipe, reason: z.string() }))
      .describe('Lines that the model or the data do not allow.'),
    doubts: z.array(z.string()).describe('What is doubtful about the data.'),
  })
  .meta({ id: 'Search' });

/** Differences of metrics are to be finite. */
const MAX_METRIC = 1e300;

export const metricSchema = z.strictObject({
  value: z
    .number()
    .min(-MAX_METRIC)
    .max(MAX_METRIC)
    .describe('What the metric says of the candidate, as often as asked the same.'),
});

export const candidateParamsSchema = idParamsSchema.extend({
  candidate: wholeParameter(
    z
      .int()
      .min(0)
      .max(MAX_TOLD - 1),
  ).describe('0: the dense model.'),
});

export type SearchEntryView = z.output<typeof searchEntrySchema>;
export type SearchView = z.output<typeof searchSchema>;
