import type { FastifyRequest } from 'fastify';
import { EmpError } from '../core/errors.ts';

/** What is of the whole service is for its own keys. @throws EmpError forbidden for those of a tenant */
export function refuseTenants({ caller }: Pick<FastifyRequest, 'caller'>): void {
  if (caller !== null && caller.tenant !== null)
    throw new EmpError(
      'forbidden',
      `this is for keys of the service itself, and ${caller.name} is of a tenant`,
    );
}
