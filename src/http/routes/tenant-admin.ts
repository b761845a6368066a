import { z } from 'zod';
import { tenantNameSchema } from '../../access/caller.ts';
import { EmpError } from '../../core/errors.ts';
import { describeOperation } from '../plugins/operations.ts';
import { refuseTenants } from '../refuse-tenants.ts';
import type { App, Services } from '../services.ts';
import { usageOf, usageSchema } from './usage.ts';

const tenantsSchema = z.object({ data: z.array(tenantNameSchema) }).meta({ id: 'Tenants' });

const nameSchema = z.object({ name: z.string().min(1).max(64) });

const noTenant = (name: string) => new EmpError('not_found', `there is no tenant ${name}`);

/** Tenants, for whoever runs the service. */
export function registerTenants(app: App, { tenants }: Services): void {
  app.get(
    '/v1/tenants',
    {
      config: { scope: 'admin' },
      schema: {
        tags: ['service'],
        operationId: 'listTenants',
        summary: 'The tenants that have stored anything',
        description: 'For keys of the service itself: to those of a tenant it is forbidden.',
        response: { 200: tenantsSchema },
      },
    },
    async (request) => {
      refuseTenants(request);
      return { data: await tenants.names() };
    },
  );

  app.get(
    '/v1/tenants/:name/usage',
    {
      config: { scope: 'admin' },
      schema: {
        tags: ['service'],
        operationId: 'getTenantUsage',
        summary: 'What a tenant uses, and what it may use',
        description: 'As `/v1/usage` tells the tenant itself. For keys of the service itself.',
        params: nameSchema,
        response: { 200: usageSchema },
        ...describeOperation({}, 'not_found', 'not_ready'),
      },
    },
    async (request) => {
      refuseTenants(request);
      const { name } = request.params;
      if (!(await tenants.names()).includes(name)) throw noTenant(name);
      const usage = await tenants.ifThere(name, usageOf);
      if (!usage) throw noTenant(name);
      return usage;
    },
  );

  app.delete(
    '/v1/tenants/:name',
    {
      config: { scope: 'admin' },
      schema: {
        tags: ['service'],
        operationId: 'deleteTenant',
        summary: 'Delete all that a tenant has stored',
        description:
          'What goes on is canceled first, and requests of the tenant that are under way are answered with `conflict`. For keys of the service itself. Keys of the tenant stay valid until they are removed: the next request with one begins with nothing.',
        params: nameSchema,
        response: { 204: z.null().describe('Deleted.') },
        ...describeOperation({}, 'not_found', 'not_ready'),
      },
    },
    async (request, reply) => {
      refuseTenants(request);
      const { name } = request.params;
      if (!(await tenants.remove(name))) throw noTenant(name);
      return reply.code(204).send(null);
    },
  );
}
