import { z } from 'zod';
import { tenantNameSchema } from '../../access/caller.ts';
import { EmpError } from '../../core/errors.ts';
import { describeOperation } from '../plugins/operations.ts';
import { refuseTenants } from '../refuse-tenants.ts';
import type { App, Services } from '../services.ts';

const tenantsSchema = z.object({ data: z.array(tenantNameSchema) }).meta({ id: 'Tenants' });

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

  app.delete(
    '/v1/tenants/:name',
    {
      config: { scope: 'admin' },
      schema: {
        tags: ['service'],
        operationId: 'deleteTenant',
        summary: 'Delete all that a tenant has stored',
        description:
          'What goes on is canceled first. For keys of the service itself. Keys of the tenant stay valid until they are removed: the next request with one begins with nothing.',
        params: z.object({ name: z.string().min(1).max(64) }),
        response: { 204: z.null().describe('Deleted.') },
        ...describeOperation({}, 'not_found', 'not_ready'),
      },
    },
    async (request, reply) => {
      refuseTenants(request);
      const { name } = request.params;
      if (!(await tenants.remove(name))) throw new EmpError('not_found', `there is no tenant ${name}`);
      return reply.code(204).send(null);
    },
  );
}
