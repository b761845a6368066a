import { z } from 'zod';
import { type Keeping, pin, readKeeping } from '../jobs/keeping.ts';
import type { TenantServices, Tenants } from '../jobs/tenants.ts';
import type { Kind } from '../storage/store.ts';
import { describeOperation, inputSchema } from './plugins/operations.ts';
import { found, idParamsSchema, nameOf, nounOf } from './resource-routes.ts';
import { time } from './schemas.ts';
import type { App } from './services.ts';
import { parseBody } from './validation.ts';

const retentionSchema = z
  .object({
    pinned: z.boolean().describe('Whether it is kept until that is said to be over.'),
    expires_at: time
      .nullable()
      .describe(
        'When it goes, unless it is used or pinned before. Null for never, and of a job or search that goes on.',
      ),
  })
  .meta({ id: 'Retention' });
const requestSchema = z.strictObject({ pinned: z.boolean() });

/** `GET` and `PUT /v1/<kind>/:id/retention`: how long a resource is kept. */
export function registerRetention(app: App, tenants: Pick<Tenants, 'retention'>, kind: Kind): void {
  const url = `/v1/${kind}/:id/retention`;
  const keepingOf = async ({ store }: TenantServices, id: string): Promise<Keeping> =>
    readKeeping(store, tenants.retention, kind, found(kind, id, await store.readRecord(kind, id)));

  app.get(
    url,
    {
      config: { scope: 'read' },
      schema: {
        tags: [kind],
        operationId: `get${nameOf(kind)}Retention`,
        summary: `How long a ${nounOf(kind)} is kept`,
        params: idParamsSchema,
        response: { 200: retentionSchema },
        ...describeOperation({}, 'not_found'),
      },
    },
    async ({ params: { id }, tenant }) => keepingOf(tenant, id),
  );

  app.put(
    url,
    {
      config: { scope: 'write' },
      schema: {
        tags: [kind],
        operationId: `set${nameOf(kind)}Retention`,
        summary: `Keep a ${nounOf(kind)}, or let it expire`,
        params: idParamsSchema,
        response: { 200: retentionSchema },
        ...describeOperation(
          {
            requestBody: {
              required: true,
              content: { 'application/json': { schema: inputSchema(requestSchema) } },
            },
          },
          'malformed_body',
          'unsupported_media_type',
          'invalid_request',
          'not_found',
        ),
      },
    },
    async ({ params: { id }, body, tenant }) => {
      const { pinned } = parseBody(requestSchema, body ?? {});
      found(kind, id, await tenant.store.readRecord(kind, id));
      await pin(tenant.store, kind, id, pinned);
      return await keepingOf(tenant, id);
    },
  );
}
