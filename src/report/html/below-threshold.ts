import type { Report } from '../report.ts';

/** Whether some of what is kept scores below the one threshold of scope `global`: a family's count was rounded up, or raised. */
export function keepsBelowThreshold({ total, structures }: Report): boolean {
  const { threshold } = total;
  if (threshold === null || structures === null) return false;
  return structures.families.some((family) => family.threshold < threshold);
}
