import { z } from 'zod';
import { JOB_STATUSES } from '../jobs/job.ts';
import { LANES, PRIORITY } from '../jobs/job-lanes.ts';
import { JOB_FIGURES, ordersOf } from '../jobs/job-query.ts';
import { parseRankedCursor } from '../jobs/ranked-jobs.ts';
import { STAGES } from '../pipeline/progress.ts';
import { recipeSchema } from '../recipe/recipe.ts';
import { decisionSchema } from '../report/decision-schema.ts';
import { problemSchema } from './problem.ts';
import { isCursorOf, pageShape } from './resource-routes.ts';
import { sha256, time, trueOrFalse } from './schemas.ts';
import { webhookSchema } from './webhook-schemas.ts';

/** The fields of a job that may hold strings chosen by the client. */
export const metadataSchema = z
  .record(z.string().min(1).max(64), z.string().max(512))
  .refine((metadata) => Object.keys(metadata).length <= 32, 'must have at most 32 entries')
  .default({})
  .describe('Strings of yours, given back with the job.');

const prioritySchema = z
  .int()
  .min(PRIORITY.lowest)
  .max(PRIORITY.highest)
  .default(PRIORITY.usual)
  .describe(
    'Of the waiting jobs of a lane those of the highest priority start first, and of one priority those that came first. A running job is not interrupted.',
  );

const datasetId = z.string().max(64).nullable().default(null);

export const jobRequestSchema = z
  .strictObject({
    model_id: z.string().max(64),
    recipe: recipeSchema.prefault({}),
    scores_dataset_id: datasetId.describe('The dataset of scores, for criterion `scores`.'),
    calibration_dataset_id: datasetId.describe(
      'The samples that data-driven criteria run the model on. `taylor`, `saliency` and their `_rms` variants need labels, others do not use them.',
    ),
    selection_dataset_id: datasetId.describe(
      'The samples that a `target` is searched on, and repairs judged, so that all evaluation samples are reported and tested; with labels where the target needs them. Without it the evaluation samples are halved.',
    ),
    evaluation_dataset_id: datasetId.describe(
      'The samples that the dense and the pruned model are compared on; for a `target` of loss or accuracy with labels, for `max_accuracy_drop` with ones that give an accuracy: not floats for squared errors.',
    ),
    priority: prioritySchema,
    metadata: metadataSchema,
    webhook: webhookSchema,
  })
  .meta({
    example: { model_id: 'mdl_0123456789abcdefghjkmnpqrs', recipe: { scope: 'global', beta: 1 } },
  });

const askedId = z.string().max(64).regex(/\S/, 'must not be blank');

/** How a list of jobs is asked for. */
export const jobQuerySchema = z
  .strictObject({
    ...pageShape,
    status: z.enum(JOB_STATUSES).optional(),
    model_id: askedId.optional(),
    search_id: askedId.optional().describe('Jobs that this search had done.'),
    met: trueOrFalse.optional().describe('Jobs whose target is met, or is not.'),
    sort: z
      .enum(ordersOf(JOB_FIGURES))
      .optional()
      .describe(
        'A figure of the summary, least first; with `-` in front largest first. Without it the newest come first, as they do among equal figures.',
      ),
  })
  .superRefine(({ cursor, sort }, context) => {
    if (cursor === undefined) return;
    if (sort ? parseRankedCursor(cursor, sort) !== null : isCursorOf('jobs', cursor)) return;
    const message = `must be the next_cursor of a page of jobs${sort ? ` that is sorted by ${sort}` : ''}`;
    context.addIssue({ code: 'custom', path: ['cursor'], message });
  });

/** Null where it was not measured. */
const measured = z.number().nullable();

export const jobSchema = z
  .object({
    id: z.string(),
    status: z
      .enum(JOB_STATUSES)
      .describe('While the queue cannot be asked, `queued` for every job that has not ended.'),
    progress: z.object({
      stage: z
        .string()
        .describe(
          `In this order, each at most once: ${['queued', ...STAGES].map((stage) => `\`${stage}\``).join(', ')}.`,
        ),
      percent: z.number().describe('0 to 100 over the whole job.'),
    }),
    search_id: z
      .string()
      .nullable()
      .describe(
        'The search that has it done: it tries a line of it, and has `candidates.json` and no report, or writes the best model. Null without one.',
      ),
    model_id: z.string(),
    pruned_model_id: z
      .string()
      .nullable()
      .describe(
        'The model that is compared with `model_id`: such a job has `compare.json` and no report or summary. Null of any other.',
      ),
    scores_dataset_id: z.string().nullable(),
    calibration_dataset_id: z.string().nullable(),
    selection_dataset_id: z.string().nullable(),
    evaluation_dataset_id: z.string().nullable(),
    recipe: z
      .looseObject({})
      .describe(
        'The recipe with its defaults filled in; of a comparison what its choice is scored by, whose size is that of the pruned model.',
      ),
    priority: z.int(),
    lane: z
      .enum(LANES)
      .describe(
        '`short`: what ends in seconds, as it scores the weights of a model of up to 2^28 parameters by its files alone; a slot is kept for these jobs. `long`: everything else.',
      ),
    position: z
      .int()
      .nullable()
      .describe(
        'How many jobs of its lane start before it, as of a second ago; null where it does not wait for its turn.',
      ),
    eta: time
      .nullable()
      .describe(
        'When it may have ended: of a running job an estimate by how far it has come, at first and of a waiting one by what the last jobs of its lane took, however much they differ. Null where there is nothing to go by.',
      ),
    created_at: time,
    started_at: time.nullable(),
    finished_at: time.nullable(),
    error: problemSchema.nullable().describe('Why the job failed.'),
    summary: z
      .object({
        n: z.int(),
        n_keep: z.int(),
        sparsity: z.number(),
        n_eff: z.number().nullable().describe('Null where the scope is not global.'),
        preserved_mass: z.number(),
        preserved_mass_bound: z.number().nullable(),
        dense_bytes: z.int(),
        pruned_bytes: z.int().nullable().describe('Null of a dry run.'),
        dense_zstd_bytes: z.int(),
        pruned_zstd_bytes: z.int().nullable(),
        dense_macs: z
          .int()
          .nullable()
          .describe('Multiply-accumulates for one sample; null where they could not be counted.'),
        pruned_macs: z
          .int()
          .nullable()
          .describe('Zeros in place are multiplied all the same. Null of a dry run of structures too.'),
        nonzero_macs: z
          .int()
          .nullable()
          .describe('What a kernel that skips zeros would need; null where structures were removed.'),
        n_samples: z.int().nullable().describe('That it was measured on; null where it was not measured.'),
        dense_loss: measured,
        loss: measured,
        dense_accuracy: measured,
        accuracy: measured,
        relative_l2: measured,
        top1_agreement: measured,
        speedup: measured.describe(
          "Latency of the dense model by that of the pruned one, at onnxruntime's default level.",
        ),
        speedup_low: measured.describe('Of its 95 % interval.'),
        speedup_high: measured,
        speedup_is_difference: z
          .boolean()
          .nullable()
          .describe('Whether it is beyond what the dense model differs from itself by, round by round.'),
        loss_increase_standard_error: measured,
        accuracy_drop_standard_error: measured,
        decision: decisionSchema.shape.status,
        sentence: decisionSchema.shape.sentence,
        met: z
          .boolean()
          .nullable()
          .describe(
            'Whether the target is met, of quality and of size or speed where there are both; null without one.',
          ),
        beyond_limit: measured.describe(
          'How far what the target bounds is beyond its limit on the samples of the report, less than 0 within it: a loss in its own unit. Null without a target of quality.',
        ),
        certified: measured.describe('The smallest limit of the target that was shown with its confidence.'),
      })
      .partial({
        ...{ dense_bytes: true, pruned_bytes: true, dense_zstd_bytes: true, pruned_zstd_bytes: true },
        ...{ dense_macs: true, pruned_macs: true, nonzero_macs: true },
        ...{ dense_loss: true, loss: true, dense_accuracy: true, accuracy: true, relative_l2: true },
        ...{ top1_agreement: true, speedup: true, met: true, beyond_limit: true, certified: true },
        ...{ speedup_low: true, speedup_high: true, speedup_is_difference: true },
        ...{ loss_increase_standard_error: true, accuracy_drop_standard_error: true },
        ...{ decision: true, sentence: true, n_samples: true },
      })
      .nullable(),
    artifacts: z.array(
      z.object({
        name: z.string(),
        media_type: z.string(),
        size_bytes: z.int(),
        sha256,
        url: z.string().describe('A path on this server.'),
      }),
    ),
    metadata: z.record(z.string(), z.string()),
  })
  .meta({ id: 'Job' });
export type JobView = z.output<typeof jobSchema>;
