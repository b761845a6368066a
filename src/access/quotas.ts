import { z } from 'zod';
import type { Tenant } from '../storage/tenant.ts';
import { tenantNameSchema } from './caller.ts';
import { readSettings, watchSettings } from './settings-file.ts';

const limit = (meaning: string) => z.int().min(0).nullable().describe(meaning);

/** What a tenant may use: null is any amount. */
const quotaShape = {
  bytes: limit('Of all models, datasets and artifacts together, and of uploads on their way.'),
  waiting_jobs: limit('Jobs that have not begun.'),
  running_jobs: limit('Jobs that are computed at the same time; others wait.'),
  searches_per_day: limit('Searches of the last 24 hours.'),
  requests_per_minute: limit('Of one key, on all routes together that need one.'),
};
export type Quota = z.output<z.ZodObject<typeof quotaShape>>;

const NAMES = Object.keys(quotaShape) as (keyof Quota)[];

const someLimits = z.strictObject(quotaShape).partial();
const fileSchema = z.strictObject({
  /** Of whoever has no entry, the service's own included, and of what an entry does not say. */
  default: someLimits.default({}),
  tenants: z.record(tenantNameSchema, someLimits).default({}),
});

/** What each tenant may use, as it is now. */
export interface Quotas {
  of(tenant: Tenant): Quota;
}

export const NO_QUOTAS: Quotas = { of: () => quotaOf() };

const ADVICE = 'it holds what each tenant may use, as docs/guide/operate.md says';

/** The quotas of a file, as it is changed. @throws SettingsFileError; errors with a `code` where it cannot be read */
export async function watchQuotas(
  path: string,
  onError: (error: unknown) => void,
): Promise<Quotas & { close(): void }> {
  const read = () => readSettings(path, fileSchema, ADVICE);
  const { latest, close } = await watchSettings(path, read, onError);
  return {
    of(tenant) {
      const { default: usual, tenants } = latest();
      return quotaOf(tenant === null ? {} : tenants[tenant], usual);
    },
    close,
  };
}

/** The first that says something of each limit. */
function quotaOf(...said: readonly (z.output<typeof someLimits> | undefined)[]): Quota {
  const limits = NAMES.map((name) => [name, said.find((one) => one?.[name] !== undefined)?.[name] ?? null]);
  return Object.fromEntries(limits) as Quota;
}
