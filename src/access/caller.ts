import { z } from 'zod';
import { TENANT_NAME, type Tenant } from '../storage/tenant.ts';

/** What a caller may be allowed: to look, to make and delete, to see how the service does. None includes another. */
export const SCOPES = ['read', 'write', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

export const tenantNameSchema = z
  .string()
  .regex(
    TENANT_NAME,
    'must be 1 to 63 lower-case letters, digits and dashes, and begin with a letter or digit',
  );

/** Who sent a request, for whom, and what that allows. */
export interface Caller {
  readonly name: string;
  /** Null for the root of the service, which belongs to no tenant. */
  readonly tenant: Tenant;
  readonly scopes: readonly Scope[];
}

/** Those who may use the service. */
export interface Callers {
  /** Who has sent that; null for nobody. @throws EmpError where more can be said: `unauthorized`, `forbidden`, `not_ready` */
  find(text: string): Caller | null | Promise<Caller | null>;
}
