/** Relative difference below which two numbers are equal but for the rounding of N_eff. */
const ROUNDING = 2 ** -40;

/** `p - reciprocal`, at least 0; 0 also where the difference may be rounding, which the square root below would magnify. */
function excess(p: number, reciprocal: number): number {
  const difference = p - reciprocal;
  return difference > p * ROUNDING ? difference : 0;
}

/**
 * The smallest mass that `nKeep` of `n` components can hold, whatever the scores, where their effective sample size
 * is `nEff`. Holds for every beta and is tight: the worst vectors are mixtures of two flat ones, which leaves three
 * candidates (a sharper form of Theorem 4.2 of the paper, which is `preservedMassBoundPaper`).
 */
export function preservedMassBound(n: number, nEff: number, nKeep: number): number {
  if (nKeep >= n) return 1;
  const p = 1 / nEff;
  const oneHotWithFlat = (j: number) =>
    nKeep / j + (1 - nKeep / j) * Math.sqrt(excess(p, 1 / j) / (1 - 1 / j));
  const bound = Math.min(
    oneHotWithFlat(Math.max(nKeep + 1, Math.ceil(nEff * (1 - ROUNDING)))),
    oneHotWithFlat(n),
  );
  const a = Math.floor(nEff);
  if (nKeep >= a) return bound;
  const b = a + 1;
  return Math.min(bound, nKeep * (1 / b + Math.sqrt(excess(p, 1 / b) * (1 / a - 1 / b))));
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
