import type { Report } from './report.ts';

/** Whether a model that was written takes fewer bytes than the dense one; of a dry run nothing is known against it. */
export function isSmaller({ dense_bytes, pruned_bytes }: Report['sizes']): boolean {
  return pruned_bytes === null || pruned_bytes < dense_bytes;
}
