import { movedTensors } from '../moved-weights.ts';
import type { Report } from '../report.ts';

/** What a chart says where some of what is kept scores lower than some of what is not. */
interface KeptBelow {
  /** Of the scores above the one threshold of scope `global`, and below it. */
  readonly above: string;
  readonly below: string;
  /** Why what is kept lies below the curve. */
  readonly note: string;
}

/** Null where the highest scores are kept: no count was rounded up or raised, and no repair chose masks. */
export function whyKeptBelow({
  total: { threshold },
  structures,
  repair,
}: Pick<Report, 'total' | 'structures' | 'repair'>): KeptBelow | null {
  if (movedTensors(repair).size > 0)
    return {
      above: 'above the threshold: kept, unless a repair chose others of the row',
      below: 'below it: removed, unless a repair chose them',
      note: 'A repair chose which weights of each row are kept: what is kept lies below the curve.',
    };
  const { families = [] } = structures ?? {};
  if (threshold === null || !families.some((family) => family.threshold < threshold)) return null;
  return {
    above: 'above the threshold: kept',
    below: 'below it: removed, unless the count of a family was rounded up or raised',
    note: 'Some families keep more than their part of the highest scores, for their counts were rounded up or raised: what is kept lies below the curve.',
  };
}
