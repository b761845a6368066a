import { explore } from '../../pipeline/explore.ts';
import { withInputs } from '../job-resources.ts';
import { jobTask } from '../run-job.ts';
import type { TenantMessage } from './task.ts';

/** What the queue holds of a job that tries a line of a search: everything else is in the store. */
export interface ExploreMessage extends TenantMessage {
  readonly model_id: string;
}

export const run = jobTask<ExploreMessage>(async (record, context) => {
  const { line } = record;
  if (line === undefined) throw new TypeError(`job ${record.id} is of no search`);
  const explored = await withInputs(record, context, (input) => explore(input, line, context));
  return { summary: null, ...explored };
});
