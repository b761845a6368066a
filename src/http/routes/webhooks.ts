import { z } from 'zod';
import { EmpError } from '../../core/errors.ts';
import type { TenantServices } from '../../jobs/tenants.ts';
import type { Delivery } from '../../jobs/webhooks/delivery.ts';
import { candidateOf } from '../../jobs/webhooks/delivery-records.ts';
import { describeOperation } from '../plugins/operations.ts';
import { found, idParamsSchema, nameOf, nounOf } from '../resource-routes.ts';
import type { App } from '../services.ts';
import { deliveriesSchema, deliverySchema, secretSchema, secretsSchema } from '../webhook-schemas.ts';

const SECRETS = '/v1/webhook-secrets';

/** What webhooks of a tenant are signed by, and what became of those of a job or search. */
export function registerWebhooks(app: App): void {
  registerSecrets(app);
  for (const kind of ['jobs', 'searches'] as const) registerDeliveries(app, kind);
}

function registerSecrets(app: App): void {
  app.post(
    SECRETS,
    {
      config: { scope: 'write' },
      schema: {
        tags: ['webhooks'],
        operationId: 'createWebhookSecret',
        summary: 'Make a secret that webhooks are signed by',
        description:
          'It is valid at once, and told this once. Two may be valid at a time: what is sent is then signed by both, so that receivers change from one to the other.',
        response: { 201: secretSchema },
        ...describeOperation({}, 'conflict', 'insufficient_storage'),
      },
    },
    async ({ tenant: { webhooks } }, reply) => reply.code(201).send(await webhooks.secrets.create()),
  );

  app.get(
    SECRETS,
    {
      config: { scope: 'read' },
      schema: {
        tags: ['webhooks'],
        operationId: 'listWebhookSecrets',
        summary: 'The secrets that webhooks are signed by, without what they are',
        response: { 200: secretsSchema },
        ...describeOperation({}),
      },
    },
    async ({ tenant: { webhooks } }) => ({ data: await webhooks.secrets.list() }),
  );

  app.delete(
    `${SECRETS}/:id`,
    {
      config: { scope: 'write' },
      schema: {
        tags: ['webhooks'],
        operationId: 'deleteWebhookSecret',
        summary: 'Take a secret back',
        description: 'What is sent from now on is not signed by it; without any, webhooks wait.',
        params: idParamsSchema,
        response: { 204: z.null().describe('Deleted.') },
        ...describeOperation({}, 'not_found'),
      },
    },
    async ({ params: { id }, tenant: { webhooks } }, reply) => {
      if (await webhooks.secrets.remove(id)) return reply.code(204).send(null);
      throw new EmpError('not_found', `there is no webhook secret ${id}`);
    },
  );
}

function registerDeliveries(app: App, kind: 'jobs' | 'searches'): void {
  const noun = nounOf(kind);

  app.get(
    `/v1/${kind}/:id/webhooks`,
    {
      config: { scope: 'read' },
      schema: {
        tags: ['webhooks'],
        operationId: `list${nameOf(kind)}Webhooks`,
        summary: `The webhooks of a ${noun}, with what became of each attempt`,
        description: 'There is one when there is something to tell.',
        params: idParamsSchema,
        response: { 200: deliveriesSchema },
        ...describeOperation({}, 'not_found'),
      },
    },
    async ({ params: { id }, tenant }) => {
      await requireRecord(tenant, kind, id);
      return { data: ((await tenant.webhooks.list(id)) ?? []).map(viewOf) };
    },
  );

  app.post(
    `/v1/${kind}/:id/webhooks/:delivery/redeliver`,
    {
      config: { scope: 'write' },
      schema: {
        tags: ['webhooks'],
        operationId: `redeliver${nameOf(kind)}Webhook`,
        summary: 'Send a webhook again, under the same id',
        description: 'One that waits for its next attempt is sent at once.',
        params: idParamsSchema.extend({ delivery: z.string().max(64) }),
        response: { 202: deliverySchema },
        ...describeOperation({}, 'not_found'),
      },
    },
    async ({ params: { id, delivery }, tenant }, reply) => {
      await requireRecord(tenant, kind, id);
      const asked = await tenant.webhooks.redeliver(id, delivery);
      if (!asked) throw new EmpError('not_found', `${noun} ${id} has no webhook ${delivery}`);
      return reply.code(202).send(viewOf(asked));
    },
  );
}

/** @throws EmpError not_found */
async function requireRecord(
  { store }: TenantServices,
  kind: 'jobs' | 'searches',
  id: string,
): Promise<void> {
  found(kind, id, await store.readRecord(kind, id));
}

function viewOf({ occasion, ...delivery }: Delivery): z.output<typeof deliverySchema> {
  const { id, status, created_at, next_attempt_at, delivered_at, attempts } = delivery;
  const isEnd = occasion === 'end';
  return {
    ...{ id, status, created_at, next_attempt_at, delivered_at },
    event: isEnd ? 'end' : 'candidate.waiting',
    candidate: isEnd ? null : candidateOf(occasion),
    attempts: attempts.map(({ at, status, error, ms }) => ({ at, status, error, ms })),
  };
}
