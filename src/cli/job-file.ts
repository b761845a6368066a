import { isAbsolute, normalize } from 'node:path';
import { z } from 'zod';
import type { JobView } from './job-views.ts';

/** What the command line adds to a job's artifacts: the job itself, which `emp verify` reads. */
export const JOB_FILE = 'job.json';

const artifactSchema = z.looseObject({
  // What was unpacked from elsewhere may name files of others.
  name: z.string().refine((name) => !isAbsolute(name) && !normalize(name).startsWith('..')),
  sha256: z.string(),
});
const jobSchema = z.looseObject({ recipe: z.looseObject({}), artifacts: z.array(artifactSchema) });

/** The job that a file of this name holds; null where another program made it, or it was spoiled. */
export function parseJobFile(text: string): JobView | null {
  try {
    const json = JSON.parse(text);
    return jobSchema.safeParse(json).success ? json : null;
  } catch {
    return null;
  }
}
