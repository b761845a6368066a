import { prune } from '../../pipeline/prune.ts';
import { withInputs } from '../job-resources.ts';
import { jobTask } from '../run-job.ts';
import type { TenantMessage } from './task.ts';

/** What the queue holds of a job that prunes: everything else is in the store. */
export interface PruneMessage extends TenantMessage {
  readonly model_id: string;
}

export const run = jobTask<PruneMessage>((record, context) =>
  withInputs(record, context, (input) => prune(input, context)),
);
