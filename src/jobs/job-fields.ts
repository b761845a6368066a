import type { TenantMessage } from './tasks/task.ts';

/** What every line about a job says of it. */
export interface JobFields {
  readonly job: string | undefined;
  /** Of the request that submitted it. */
  readonly request_id: string | undefined;
  /** Whose it is, where it is somebody's. */
  readonly tenant: string | undefined;
}

/** Of a job as its message says it. */
export function jobFields(
  message: { readonly id?: string | undefined; readonly data?: TenantMessage | undefined } | undefined,
): JobFields {
  const { request_id, tenant } = message?.data ?? {};
  return { job: message?.id, request_id, tenant };
}
