/** A model that was measured on the way. */
export interface SizePoint {
  readonly beta: number;
  readonly sparsity: number;
  /** In the unit of the target. */
  readonly size: number;
}

/** What a search by size has found. */
export interface FoundSize<P extends SizePoint = SizePoint> {
  /** The largest within the limit, or else the smallest that there is. */
  readonly point: P;
  readonly isWithin: boolean;
  /** In order. */
  readonly evaluations: readonly P[];
}

/** A model at a beta, and whether it was not measured before. */
export interface Visit<P> {
  readonly point: P;
  readonly isNew: boolean;
}

/** Different models that are written and measured, at most. */
export const MAX_SIZES = 14;
/** Betas that are looked at: many may keep the same structures, which are measured once. */
const MAX_STEPS = 64;
/** As near below the limit is near enough, of what is counted. */
const CLOSE = 0.002;
/** At the first nearly everything goes, at the second nothing, whatever the scores. */
const [LEAST_BETA, MOST_BETA] = [1e-6, 1e6];
/** Of an interval, the least that a step takes away, where sizes are exact. */
const MARGIN = 0.02;

/**
 * The largest beta whose model is no larger than `limit`. Size grows with beta, but for what rounding and compression make
 * of it, so the interval between a model within the limit and one beyond it is narrowed along the line between them. By
 * Illinois' method (Dowell and Jarratt 1971) an end that stays counts half as far from the limit each time.
 * @param measure decides at a beta, and measures what was not measured before
 */
export async function searchSize<P extends SizePoint>(
  limit: number,
  measure: (beta: number) => Promise<Visit<P>>,
  { most, close, margin } = { most: MAX_SIZES, close: CLOSE, margin: MARGIN },
): Promise<FoundSize<P>> {
  const evaluations: P[] = [];
  const visit = async (beta: number): Promise<P> => {
    const { point, isNew } = await measure(beta);
    if (isNew) evaluations.push(point);
    return point;
  };
  const found = (point: P) => ({ point, isWithin: point.size <= limit, evaluations });
  const own = await visit(1);
  let within = own.size <= limit ? own : await visit(LEAST_BETA);
  if (within.size > limit || within.sparsity === 0) return found(within);
  let beyond = own;
  for (const beta of [Math.min(MOST_BETA, 2 / (1 - own.sparsity)), MOST_BETA]) {
    if (beyond.size <= limit && beyond.sparsity > 0) beyond = await visit(beta);
  }
  if (beyond.size <= limit) return found(beyond);
  const aim = limit * (1 - close / 2);
  let [short, over] = [aim - within.size, beyond.size - aim];
  let wasWithin: boolean | undefined;
  for (let step = 1; step <= MAX_STEPS && evaluations.length < most; step++) {
    if (limit - within.size <= close * limit) break;
    const narrowing = Math.min(1 - margin, Math.max(margin, short / (short + over)));
    const beta = within.beta + narrowing * (beyond.beta - within.beta);
    if (beta <= within.beta || beta >= beyond.beta) break;
    const point = await visit(beta);
    const isWithin = point.size <= limit;
    if (isWithin) [within, short, over] = [point, aim - point.size, wasWithin === true ? over / 2 : over];
    else [beyond, over, short] = [point, point.size - aim, wasWithin === false ? short / 2 : short];
    wasWithin = isWithin;
  }
  return found(within);
}
