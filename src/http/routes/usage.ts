import { z } from 'zod';
import { tenantNameSchema } from '../../access/caller.ts';
import type { TenantServices } from '../../jobs/tenants.ts';
import { describeOperation } from '../plugins/operations.ts';
import type { App } from '../services.ts';

const counted = (meaning: string) =>
  z
    .object({ used: z.int(), limit: z.int().nullable().describe('Null where there is none.') })
    .describe(meaning);

export const usageSchema = z
  .object({
    tenant: tenantNameSchema.nullable().describe('Whose it is; null of what belongs to no tenant.'),
    bytes: counted('Of all models, datasets and artifacts together, and of uploads on their way.'),
    waiting_jobs: counted('Jobs that have not begun.'),
    running_jobs: counted('Jobs that are being computed.'),
    searches_per_day: counted('Searches of the last 24 hours that are there.'),
    requests_per_minute: z
      .object({ limit: z.int().nullable() })
      .describe('Of each key; what is left is told by the headers `RateLimit-*` of every answer.'),
  })
  .meta({ id: 'Usage' });

/** What the tenant whose key came uses, and may. */
export function registerUsage(app: App): void {
  app.get(
    '/v1/usage',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['service'],
        operationId: 'getUsage',
        summary: 'What your tenant uses, and what it may use',
        description: 'Counted now, in all processes of the service.',
        response: { 200: usageSchema },
        ...describeOperation({}, 'not_ready'),
      },
    },
    async ({ tenant }) => usageOf(tenant),
  );
}

/** As `usageSchema` has it. */
export async function usageOf({ tenant, quota: kept }: Pick<TenantServices, 'tenant' | 'quota'>) {
  const { used, quota } = await kept.usage();
  return {
    tenant,
    bytes: { used: used.bytes, limit: quota.bytes },
    waiting_jobs: { used: used.waiting_jobs, limit: quota.waiting_jobs },
    running_jobs: { used: used.running_jobs, limit: quota.running_jobs },
    searches_per_day: { used: used.searches_per_day, limit: quota.searches_per_day },
    requests_per_minute: { limit: quota.requests_per_minute },
  };
}
