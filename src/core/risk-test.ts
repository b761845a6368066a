import { bettingPValue } from './bets.ts';
import { binomialAtMost } from './binomial.ts';
import { pairedPValue } from './paired-test.ts';
import { sumOf } from './statistics.ts';

/** What a target bounds, sample by sample: the risk is `sum(cost) / sum(weight)`. Samples of weight 0 do not count. */
export interface PairedRisk {
  readonly cost: Float64Array;
  readonly weight: Float64Array;
}

/** How "the risk is above the limit" is tested; fixed before the data are seen. */
export type RiskTest =
  | { readonly name: 'exact_paired' | 'harmful_flips' | 'binomial' }
  /** Costs above the limit count up to `ceiling`, below it down to `-ceiling` where `isTwoSided`. */
  | { readonly name: 'mixture_of_bets'; readonly ceiling: number; readonly isTwoSided: boolean };

/** Expected harmful flips below which the exact paired test has no power. */
const FEW_FLIPS = 5;
/** No set of samples is larger. */
const MOST_SAMPLES = 2 ** 40;

/** `sum(cost) / sum(weight)`. */
export function riskOf({ cost, weight }: PairedRisk): number {
  return sumOf(cost) / sumOf(weight);
}

/** Standard error of the risk over samples, linearized as that of a ratio; NaN of fewer than 2. */
export function riskStandardError({ cost, weight }: PairedRisk): number {
  const n = countOf({ cost, weight });
  const risk = riskOf({ cost, weight });
  const squares = cost.map((value, i) => (value - risk * weight[i]) ** 2);
  return Math.sqrt((sumOf(squares) * n) / (n - 1)) / sumOf(weight);
}

/** The test of changed predictions, one a sample, by whether any is to be expected: the other is exact but needs some. */
export function flipsTest(n: number, limit: number): RiskTest {
  return { name: n * limit < FEW_FLIPS ? 'harmful_flips' : 'exact_paired' };
}

/**
 * Tests "the risk is above `limit`" on samples that no choice saw.
 * @param alpha in (0, 1): the error that will be allowed
 * @returns a p-value: at or below `alpha` with a probability of at most `alpha` where it is true
 */
export function riskPValue(risk: PairedRisk, limit: number, test: RiskTest, alpha: number): number {
  if (limit <= 0 && (test.name !== 'mixture_of_bets' || !test.isTwoSided)) return 1;
  const n = countOf(risk);
  const harmful = risk.cost.reduce((sum, cost) => sum + Number(cost > 0), 0);
  switch (test.name) {
    case 'exact_paired': {
      const helpful = risk.cost.reduce((sum, cost) => sum + Number(cost < 0), 0);
      return pairedPValue({ n, harmful, helpful }, limit, alpha);
    }
    case 'harmful_flips':
    case 'binomial':
      return binomialAtMost(harmful, n, limit);
    case 'mixture_of_bets':
      return bettingPValue(excessesOf(risk, limit, test), test.ceiling);
  }
}

/**
 * The fewest samples that can pass, of a model that changes nothing; infinite where none can.
 * @param meanWeight of a sample
 */
export function samplesNeeded(test: RiskTest, limit: number, alpha: number, meanWeight: number): number {
  if (limit <= 0) return Number.POSITIVE_INFINITY;
  if (test.name !== 'mixture_of_bets') {
    const needed = Math.ceil(Math.log(alpha) / Math.log1p(-limit));
    return needed > MOST_SAMPLES ? Number.POSITIVE_INFINITY : needed;
  }
  const gain = new Float64Array([-limit * meanWeight]);
  const passes = (n: number) => bettingPValue(gain, test.ceiling, n) <= alpha;
  let [few, many] = [0, 1];
  while (!passes(many)) {
    if (many > MOST_SAMPLES) return Number.POSITIVE_INFINITY;
    [few, many] = [many, 2 * many];
  }
  while (many - few > 1) {
    const middle = Math.floor((few + many) / 2);
    if (passes(middle)) many = middle;
    else few = middle;
  }
  return many;
}

function countOf({ weight }: PairedRisk): number {
  return weight.reduce((sum, value) => sum + Number(value > 0), 0);
}

function excessesOf(
  { cost, weight }: PairedRisk,
  limit: number,
  { ceiling, isTwoSided }: Extract<RiskTest, { name: 'mixture_of_bets' }>,
): Float64Array {
  const floor = isTwoSided ? -ceiling : Number.NEGATIVE_INFINITY;
  return cost.map((value, i) => {
    const excess = value - limit * weight[i];
    return Number.isNaN(excess) ? ceiling : Math.min(ceiling, Math.max(floor, excess));
  });
}
