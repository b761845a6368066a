import type { Figures } from './figures.ts';
import {
  beta1Harmful,
  evaluationTooSmall,
  nonFiniteLoss,
  noSpeedup,
  notEvaluated,
  prunedHarmful,
  targetNotMet,
  uniformBetter,
} from './measured-warnings.ts';
import type { TensorReport } from './report.ts';
import type { WarningCode } from './warning-codes.ts';
import { count, percent } from './wording.ts';

const HEAVY_TAILED = 0.1;
const UNIFORM = 0.95;
/** Below this density a layer may have lost what it is there for. */
const LOW_DENSITY = 0.05;

/** The texts of each warning, none where there is nothing to warn of; the gravest first. */
const TEXTS: Readonly<Record<WarningCode, (figures: Figures) => string[]>> = {
  non_finite_loss: nonFiniteLoss,
  beta_1_harmful: beta1Harmful,
  harmful: prunedHarmful,
  target_not_met: targetNotMet,
  uniform_better: uniformBetter,
  evaluation_too_small: evaluationTooSmall,
  not_evaluated: notEvaluated,
  heavy_tailed_scores: heavyTailedScores,
  uniform_scores: uniformScores,
  layer_emptied: layerEmptied,
  low_density: lowDensity,
  all_zero_tensor: allZeroTensor,
  all_zero_rows: allZeroRows,
  min_density_applied: minDensityApplied,
  nothing_removed: nothingRemoved,
  no_speedup: noSpeedup,
};

/** What to beware of. */
export function warningsOf(figures: Figures): { code: WarningCode; text: string }[] {
  const codes = Object.keys(TEXTS) as WarningCode[];
  return codes.flatMap((code) => TEXTS[code](figures).map((text) => ({ code, text })));
}

/**
 * N_eff and N of what EMP decides by: the whole vector with scope global; else the tensors' own, added up, since layers of different
 * scale make the whole vector look heavy-tailed without any effect on what is kept. (Of the rows only the decision knows; the sum of
 * their N_eff is never below their tensor's.)
 */
function effectiveSize({ total, tensors }: Figures): { nEff: number; n: number } {
  if (total.n_eff !== null) return { nEff: total.n_eff, n: total.n };
  const scored = tensors.filter(isScored);
  return {
    nEff: scored.reduce((sum, { n_eff }) => sum + (n_eff ?? 0), 0),
    n: scored.reduce((sum, { n }) => sum + n, 0),
  };
}

function heavyTailedScores(figures: Figures): string[] {
  const { nEff, n } = effectiveSize(figures);
  if (n === 0 || nEff >= HEAVY_TAILED * n) return [];
  return [
    `${describeSize(nEff, n)}: a few scores hold most of the mass. That the rest can go does not follow: trust only what is measured.`,
  ];
}

function uniformScores(figures: Figures): string[] {
  const { nEff, n } = effectiveSize(figures);
  if (nEff <= UNIFORM * n) return [];
  return [
    `${describeSize(nEff, n)}: the scores are nearly uniform, and almost nothing can go on their grounds.`,
  ];
}

const describeSize = (nEff: number, n: number): string =>
  `N_eff is ${count(Math.round(nEff))} of ${count(n)} (${percent(Math.min(1, nEff / n))})`;

/** All-zero tensors have a warning of their own. */
const isScored = ({ n_eff }: TensorReport): boolean => n_eff !== null;

function layerEmptied({ tensors }: Figures): string[] {
  return tensors
    .filter((tensor) => isScored(tensor) && tensor.n_keep === 0)
    .map(
      ({ name, n }) =>
        `${name} keeps none of ${count(n)} weights: nothing passes through it any more; min_density sets a floor.`,
    );
}

function lowDensity({ tensors }: Figures): string[] {
  return tensors
    .filter((tensor) => isScored(tensor) && tensor.n_keep > 0 && tensor.n_keep / tensor.n < LOW_DENSITY)
    .map(
      ({ name, n, n_keep }) =>
        `${name} keeps only ${count(n_keep)} of ${count(n)} weights; min_density sets a floor.`,
    );
}

function allZeroTensor({ tensors }: Figures): string[] {
  return tensors
    .filter((tensor) => !isScored(tensor))
    .map(({ name, n, n_keep }) =>
      n_keep === n
        ? `The scores of ${name} are all zero: it has no N_eff and is left as it is.`
        : `The scores of ${name} are all zero and count for nothing beside those of the other tensors: it keeps ${count(n_keep)} of ${count(n)} weights.`,
    );
}

function allZeroRows({ zeroRows }: Figures): string[] {
  return [...zeroRows].map(([name, rows]) =>
    rows === 1
      ? `${name} has a row of zero scores: it has no N_eff and is left as it is.`
      : `${name} has ${count(rows)} rows of zero scores: they have no N_eff and are left as they are.`,
  );
}

function minDensityApplied({ raised }: Figures): string[] {
  return raised.length === 0
    ? []
    : [`min_density keeps more than the threshold would in ${raised.join(', ')}.`];
}

function nothingRemoved({ total }: Figures): string[] {
  return total.n_keep < total.n ? [] : ['Every weight is kept: the scores are flat or beta is large.'];
}
