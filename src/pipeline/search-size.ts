/** A model that was measured on the way. */
export interface SizePoint {
  readonly beta: number;
  readonly sparsity: number;
  /** In the unit of the target. */
  readonly size: number;
}

/** What a search by size has found. */
export interface FoundSize {
  /** The largest within the limit, or else the smallest that there is. */
  readonly point: SizePoint;
  readonly isWithin: boolean;
  /** In order. */
  readonly evaluations: readonly SizePoint[];
}

/** Different models that are written and measured, at most. */
export const MAX_SIZES = 14;
/** Betas that are looked at: many may keep the same structures, which are measured once. */
const MAX_STEPS = 64;
/** As near below the limit is near enough. */
const CLOSE = 0.002;
/** At the first nearly everything goes, at the second nothing, whatever the scores. */
const [LEAST_BETA, MOST_BETA] = [1e-6, 1e6];
/** Of an interval, the least that a step takes away. */
const MARGIN = 0.02;
/** Every so many steps the interval is halved, for a line through its ends may miss for long. */
const HALVING = 3;

/**
 * The largest beta whose model is no larger than `limit`. Size grows with beta, but for what rounding and compression make of it, so the interval between a model within the limit and
 * one beyond it is narrowed along the line between them.
 * @param measure decides at a beta, and measures what was not measured before
 */
export async function searchSize(
  limit: number,
  measure: (beta: number) => Promise<SizePoint & { readonly isNew: boolean }>,
): Promise<FoundSize> {
  const evaluations: SizePoint[] = [];
  const visit = async (beta: number): Promise<SizePoint> => {
    const { isNew, ...point } = await measure(beta);
    if (isNew) evaluations.push(point);
    return point;
  };
  const found = (point: SizePoint) => ({ point, isWithin: point.size <= limit, evaluations });
  const own = await visit(1);
  let within = own.size <= limit ? own : await visit(LEAST_BETA);
  if (within.size > limit || within.sparsity === 0) return found(within);
  let beyond = own;
  for (const beta of [Math.min(MOST_BETA, 2 / (1 - own.sparsity)), MOST_BETA]) {
    if (beyond.size <= limit && beyond.sparsity > 0) beyond = await visit(beta);
  }
  if (beyond.size <= limit) return found(beyond);
  for (let step = 1; step <= MAX_STEPS && evaluations.length < MAX_SIZES; step++) {
    if (limit - within.size <= CLOSE * limit) break;
    const beta = between(within, beyond, step % HALVING === 0 ? null : limit * (1 - CLOSE / 2));
    if (beta <= within.beta || beta >= beyond.beta) break;
    const point = await visit(beta);
    if (point.size <= limit) within = point;
    else beyond = point;
  }
  return found(within);
}

/** Where the line between two points has a size; half way where none is given. */
function between(within: SizePoint, beyond: SizePoint, size: number | null): number {
  const along = size === null ? 0.5 : (size - within.size) / (beyond.size - within.size);
  const share = Math.min(1 - MARGIN, Math.max(MARGIN, along));
  return within.beta + share * (beyond.beta - within.beta);
}
