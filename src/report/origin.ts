import { z } from 'zod';

const dataSchema = z.object({ dataset_id: z.string(), sha256: z.string() }).nullable();

/** Which job a report is of, and what that was given. */
export const originSchema = z
  .object({
    job_id: z.string(),
    created_at: z.string().describe('When the job was asked for.'),
    model_id: z.string(),
    scores: dataSchema,
    calibration: dataSchema,
    selection: dataSchema,
    evaluation: dataSchema,
  })
  .describe('The job, and what it was given, with the hashes of the data.');

export type Origin = z.output<typeof originSchema>;

/** The inputs of a job that are datasets, as its request names them. */
export const ORIGIN_DATA = ['scores', 'calibration', 'selection', 'evaluation'] as const;
