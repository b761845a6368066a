import type { Retention } from '../storage/retention-terms.ts';
import type { Tenant } from '../storage/tenant.ts';
import type { BulkMessage } from './backends/backend.ts';
import { messagePriority, PRIORITY } from './job-lanes.ts';

/**
 * Asks for a tenant's store to be looked through.
 * @param nth of the intervals since 1970: whoever else asks in the same one is passed over
 */
export function retentionMessage(
  tenant: Tenant,
  retention: Retention,
  nth: number,
  intervalMs: number,
): BulkMessage {
  return {
    name: 'retention',
    data: { retention, ...(tenant !== null && { tenant }) },
    opts: {
      jobId: `retention-${tenant ?? ''}-${nth}`,
      // No job waits for it.
      priority: messagePriority({ priority: PRIORITY.lowest, turn: Number.POSITIVE_INFINITY }),
      // Its id is known until the next is asked for.
      removeOnComplete: { age: (2 * intervalMs) / 1000 },
      removeOnFail: true,
    },
  };
}
