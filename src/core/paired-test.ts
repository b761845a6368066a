import { clopperPearson, LogFactorials } from './binomial.ts';

/** Probabilities of a helpful flip that are tried of their interval. */
const GRID = 16;
/** Share of the error spent on that interval (Berger and Boos, 1994): 0.001 of 0.05. */
const INTERVAL_SHARE = 1 / 50;
/** A statistic above this has no p-value of use, and would take the longest. */
const NOWHERE_NEAR = -1.2;
/** Counts farther than this from their mean add less than 1e-14. */
const DEVIATIONS = 8;
/** Statistics this near are equal. */
const ROUNDING = 1e-9;

/** How the predictions for samples changed. */
export interface Flips {
  readonly n: number;
  /** Right before, wrong now. */
  readonly harmful: number;
  /** Wrong before, right now. */
  readonly helpful: number;
}

/**
 * Tango's score statistic (1998) of a paired difference of probabilities against `limit`, with the restricted estimate of the
 * probability of a helpful flip. The smaller, the more it speaks for a drop below `limit`.
 */
export function tangoStatistic({ n, harmful, helpful }: Flips, limit: number): number {
  const linear = -(harmful + helpful) + (2 * n - harmful + helpful) * limit;
  const root = Math.sqrt(Math.max(0, linear ** 2 + 8 * n * helpful * limit * (1 - limit)));
  const restricted = (root - linear) / (4 * n);
  return (harmful - helpful - n * limit) / Math.sqrt(n * (2 * restricted + limit * (1 - limit)));
}

/**
 * Exact unconditional paired test of "accuracy falls by more than `limit`", its outcomes ordered by Tango's statistic, the unknown probability
 * of a helpful flip taken at its worst within a Clopper-Pearson interval (Berger and Boos, 1994).
 * @param limit in (0, 1)
 * @param alpha the error that will be allowed, which fixes how much of it the interval takes
 * @returns a p-value: below any `alpha` with at most that probability where the drop is `limit` or more
 */
export function pairedPValue(flips: Flips, limit: number, alpha: number): number {
  const { n, helpful } = flips;
  const observed = tangoStatistic(flips, limit);
  if (observed > NOWHERE_NEAR) return 1;
  const gamma = alpha * INTERVAL_SHARE;
  const factorials = new LogFactorials(n);
  const [low, high] = clopperPearson(helpful, n, gamma / 2, factorials);
  const from = Math.max(low, 1e-7);
  const to = Math.min(high, (1 - limit) / 2 - 1e-9);
  // So many helpful flips go with no drop of the limit at all.
  if (from > to) return gamma;
  let worst = 0;
  for (let step = 0; step < GRID; step++) {
    const helps = from + ((to - from) * step) / (GRID - 1);
    worst = Math.max(worst, probabilityUpTo(observed, n, limit, helps, factorials));
  }
  return Math.min(1, worst + gamma);
}

/** Of a statistic of `observed` or less, where a flip helps with probability `helps` and harms with `helps + limit`. */
function probabilityUpTo(
  observed: number,
  n: number,
  limit: number,
  helps: number,
  factorials: LogFactorials,
): number {
  const harms = helps + limit;
  const [lnHarms, lnHelps, lnRest] = [Math.log(harms), Math.log(helps), Math.log1p(-harms - helps)];
  const [fewestHarmful, mostHarmful] = plausible(n, harms);
  const [fewestHelpful, mostHelpful] = plausible(n, helps);
  let sum = 0;
  for (let harmful = fewestHarmful; harmful <= mostHarmful; harmful++) {
    for (let helpful = fewestHelpful; helpful <= Math.min(mostHelpful, n - harmful); helpful++) {
      if (tangoStatistic({ n, harmful, helpful }, limit) > observed + ROUNDING) continue;
      const rest = n - harmful - helpful;
      const ways = factorials.of(n) - factorials.of(harmful) - factorials.of(helpful) - factorials.of(rest);
      sum += Math.exp(ways + harmful * lnHarms + helpful * lnHelps + rest * lnRest);
    }
  }
  return sum;
}

/** Counts of `n` that a probability makes plausible. */
function plausible(n: number, p: number): readonly [fewest: number, most: number] {
  const reach = DEVIATIONS * Math.sqrt(n * p * (1 - p)) + 2 * DEVIATIONS;
  return [Math.max(0, Math.floor(n * p - reach)), Math.min(n, Math.ceil(n * p + reach))];
}
