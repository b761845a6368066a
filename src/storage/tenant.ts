import { join } from 'node:path';

/** Whose something is: the name of a tenant; null where a service has none, or it is the service's own. */
export type Tenant = string | null;

/** Such a name is the same in a path, an address and a log, and on disks that do not tell case. */
export const TENANT_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** `tenants/<name>/` is a data directory of its own, within that of the service. */
export const TENANTS = 'tenants';

/** Whose a message or record is: it names nobody where it is the service's own. */
export function tenantOf({ tenant = null }: { readonly tenant?: Tenant | undefined } = {}): Tenant {
  return tenant;
}

/** Where the store of a tenant lies. @throws TypeError for what is no name: it would lead elsewhere */
export function rootOf(root: string, tenant: Tenant): string {
  if (tenant === null) return root;
  if (typeof tenant === 'string' && TENANT_NAME.test(tenant)) return join(root, TENANTS, tenant);
  throw new TypeError(`${JSON.stringify(tenant)} is no name of a tenant`);
}
