import { z } from 'zod';

/** What a caller may be allowed: to look, to make and delete, to see how the service does. None includes another. */
export const SCOPES = ['read', 'write', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** Such a name is the same in a path, an address and a log, and on disks that do not tell case. */
export const tenantNameSchema = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9-]{0,62}$/,
    'must be 1 to 63 lower-case letters, digits and dashes, and begin with a letter or digit',
  );

/** Who sent a request, for whom, and what that allows. */
export interface Caller {
  readonly name: string;
  /** Null for the root of the service, which belongs to no tenant. */
  readonly tenant: string | null;
  readonly scopes: readonly Scope[];
}
