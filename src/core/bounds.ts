/** `1 / N_eff - 1/j`: how much more concentrated the scores are than `j` equal ones. */
export type Excess = (j: number) => number;

/** Relative difference below which two numbers are equal but for the rounding of N_eff. */
const ROUNDING = 2 ** -40;

/** The excess as a float64 N_eff tells it; 0, which lowers the bound, where it may be rounding, which a square root would magnify. */
function roundedExcess(nEff: number): Excess {
  const p = 1 / nEff;
  return (j) => (p - 1 / j > p * ROUNDING ? p - 1 / j : 0);
}

/** The excess of given scores, by integer arithmetic where N_eff is so near to `j` that float64 cannot tell it. */
export function exactExcess(scores: ArrayLike<number>, max: number, nEff: number): Excess {
  const rounded = roundedExcess(nEff);
  return (j) => {
    if (Math.abs(nEff - j) > j * ROUNDING) return rounded(j);
    let sum = 0n;
    let sumOfSquares = 0n;
    for (let i = 0; i < scores.length; i++) {
      const score = BigInt(Math.round((Math.abs(scores[i]) / max) * 2 ** 52));
      sum += score;
      sumOfSquares += score * score;
    }
    const equal = BigInt(j);
    return Math.max(0, Number(equal * sumOfSquares - sum * sum) / Number(equal * sum * sum));
  };
}

/**
 * The smallest mass that `nKeep` of `n` components can hold, whatever the scores, where their effective sample size
 * is `nEff`. Holds for every beta and is tight: the worst vectors are mixtures of two flat ones, which leaves three
 * candidates (a sharper form of Theorem 4.2 of the paper, which is `preservedMassBoundPaper`).
 */
export function preservedMassBound(
  n: number,
  nEff: number,
  nKeep: number,
  excess: Excess = roundedExcess(nEff),
): number {
  if (nKeep >= n) return 1;
  const oneHotWithFlat = (j: number) => nKeep / j + (1 - nKeep / j) * Math.sqrt(excess(j) / (1 - 1 / j));
  const nearest = Math.round(nEff);
  const isNear = Math.abs(nEff - nearest) <= nearest * ROUNDING;
  const ceiling = isNear ? nearest : Math.ceil(nEff);
  const bound = Math.min(oneHotWithFlat(Math.max(nKeep + 1, ceiling)), oneHotWithFlat(n));
  const a = isNear && excess(nearest) <= 0 ? nearest : ceiling - 1;
  if (nKeep >= a) return bound;
  const b = a + 1;
  return Math.min(bound, nKeep * (1 / b + Math.sqrt(excess(b) * (1 / a - 1 / b))));
}

/**
 * Theorem 4.2 of the paper: a bound by `n` and `nKeep` alone. Null where it does not hold, `beta < 1` or `nKeep < 2`
 * (for `w = (.5+d, .5-d, 0)` it promises 0.67 and 0.5 is kept), and where nothing is dropped.
 */
export function preservedMassBoundPaper(n: number, nKeep: number, beta: number): number | null {
  if (!(beta >= 1) || nKeep < 2 || nKeep >= n) return null;
  const dropped = n - nKeep;
  return nKeep / n + (dropped / n) * Math.sqrt((dropped - 1) / ((nKeep + 1) * (n - 1)));
}
