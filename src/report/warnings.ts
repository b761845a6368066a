import { INPUT_WORDS } from '../recipe/needs.ts';
import type { Figures, ScoredGroup } from './figures.ts';
import {
  beta1Harmful,
  evaluationTooSmall,
  nonFiniteLoss,
  noSpeedup,
  notEvaluated,
  notFaster,
  prunedHarmful,
  targetNotMet,
  uniformBetter,
} from './measured-warnings.ts';
import { repairNotKept } from './repairs.ts';
import type { WarningCode } from './warning-codes.ts';
import { count, countUnits, listNames, number, percent, unitOf } from './wording.ts';

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
  repair_not_kept: repairNotKept,
  input_not_used: inputNotUsed,
  not_evaluated: notEvaluated,
  heavy_tailed_scores: heavyTailedScores,
  uniform_scores: uniformScores,
  layer_emptied: layerEmptied,
  low_density: lowDensity,
  all_zero_tensor: allZeroTensor,
  all_zero_rows: allZeroRows,
  min_density_applied: minDensityApplied,
  counts_raised: countsRaised,
  families_pooled: familiesPooled,
  nothing_removed: nothingRemoved,
  no_speedup: noSpeedup,
  not_faster: notFaster,
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
function effectiveSize({ total, groups }: Figures): { nEff: number; n: number } {
  if (total.n_eff !== null) return { nEff: total.n_eff, n: total.n };
  const scored = groups.filter(isScored);
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

/** Of few scores the fraction counts. */
function describeSize(nEff: number, n: number): string {
  const size = nEff < 1000 ? number(nEff) : count(Math.round(nEff));
  return `N_eff is ${size} of ${count(n)} (${percent(Math.min(1, nEff / n))})`;
}

/** All-zero tensors have a warning of their own. */
const isScored = ({ n_eff }: ScoredGroup): boolean => n_eff !== null;

function layerEmptied({ groups }: Figures): string[] {
  return groups
    .filter((tensor) => isScored(tensor) && tensor.n_keep === 0)
    .map(
      ({ name, n }) =>
        `${name} keeps none of ${count(n)} weights: nothing passes through it any more; min_density sets a floor.`,
    );
}

function lowDensity({ groups, granularity }: Figures): string[] {
  return groups
    .filter((tensor) => isScored(tensor) && tensor.n_keep > 0 && tensor.n_keep / tensor.n < LOW_DENSITY)
    .map(
      ({ name, n, n_keep }) =>
        `${name} keeps only ${count(n_keep)} of ${countUnits(n, granularity)}; min_density sets a floor.`,
    );
}

function allZeroTensor({ groups, granularity }: Figures): string[] {
  return groups
    .filter((tensor) => !isScored(tensor))
    .map(({ name, n, n_keep }) =>
      n_keep === n
        ? `The scores of ${name} are all zero: it has no N_eff and is left as it is.`
        : `The scores of ${name} are all zero and count for nothing beside those of the others: it keeps ${count(n_keep)} of ${countUnits(n, granularity)}.`,
    );
}

function inputNotUsed({ unused }: Figures): string[] {
  return unused.map(({ input, reason }) => `The ${INPUT_WORDS[input]} that came were not used: ${reason}.`);
}

function allZeroRows({ zeroRows }: Figures): string[] {
  return [...zeroRows].map(([name, rows]) =>
    rows === 1
      ? `${name} has a row of zero scores: it has no N_eff and is left as it is.`
      : `${name} has ${count(rows)} rows of zero scores: they have no N_eff and are left as they are.`,
  );
}

function minDensityApplied({ raised, granularity }: Figures): string[] {
  if (raised.length === 0 || granularity !== 'weight') return [];
  return [`min_density keeps more than the threshold would in ${listNames(raised)}.`];
}

function countsRaised({ raised, granularity }: Figures): string[] {
  if (raised.length === 0 || granularity === 'weight') return [];
  return [
    `min_density, or that one ${unitOf(granularity).one} has to stay, keeps more than EMP's count in ${listNames(raised)}.`,
  ];
}

function familiesPooled({ pooled, granularity }: Figures): string[] {
  if (pooled.length === 0) return [];
  return [
    `Families of few ${unitOf(granularity).many} share one N_eff, for the floor of their own would remove one of each for next to nothing: ${listNames(pooled)}.`,
  ];
}

function nothingRemoved({ total, granularity }: Figures): string[] {
  if (total.n_keep < total.n) return [];
  const every = `Every ${unitOf(granularity).one} is kept: the scores are flat`;
  if (granularity === 'weight') return [`${every} or beta is large.`];
  return [`${every}, beta is large, or counts were rounded up (round_to).`];
}
