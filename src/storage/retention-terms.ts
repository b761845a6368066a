import type { Kind } from './store.ts';

/** For how many days what nobody uses is kept, and how many bytes a tenant's files may take before the oldest go; null for ever, and for any number. */
export interface Retention {
  readonly days: Readonly<Record<Kind, number | null>>;
  readonly bytes: number | null;
}

export const KEEP_ALL: Retention = {
  days: { models: null, datasets: null, jobs: null, searches: null },
  bytes: null,
};

export function limitsAnything({ days, bytes }: Retention): boolean {
  return bytes !== null || Object.values(days).some((kept) => kept !== null);
}
