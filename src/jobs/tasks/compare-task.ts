import { compareModels } from '../../pipeline/compare/compare-models.ts';
import { withComparedModels } from '../job-resources.ts';
import { jobTask } from '../run-job.ts';
import type { TenantMessage } from './task.ts';

/** What the queue holds of a job that compares two models: everything else is in the store. */
export interface CompareMessage extends TenantMessage {
  readonly model_id: string;
}

export const run = jobTask<CompareMessage>(async (record, context) => {
  const { artifacts, timings_ms } = await withComparedModels(record, context, (input) =>
    compareModels(input, context),
  );
  return { summary: null, artifacts, timings_ms };
});
