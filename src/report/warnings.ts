import { INPUT_WORDS } from '../recipe/needs.ts';
import { GRANULARITIES } from '../recipe/terms.ts';
import { MEASURED_WARNINGS } from './measured-warnings.ts';
import type { ScoredGroup, VerdictFacts, WarningTexts } from './verdict-facts.ts';
import { WARNING_CODES, type WarningCode } from './warning-codes.ts';
import { count, counted, listNames, number, percent } from './wording.ts';

const HEAVY_TAILED = 0.1;
const UNIFORM = 0.95;
/** Below this density a layer may have lost what it is there for. */
const LOW_DENSITY = 0.05;

/** Tensors of which a warning tells the names. */
const MAX_UNTOUCHED = 5;
/** From this share on what was reached is not the model. */
const PARTLY_REACHED = 0.01;

export function isPartlyReached({ share }: VerdictFacts['untouched']): boolean {
  return share >= PARTLY_REACHED;
}

/** Of what was decided, by the scores alone. */
const DECIDED_WARNINGS = {
  partly_reached({ untouched }) {
    if (!isPartlyReached(untouched)) return null;
    const { n, share, n_tensors, tensors } = untouched;
    const named = tensors
      .slice(0, MAX_UNTOUCHED)
      .map(({ name, dtype, n }) => `${name} (${dtype}, ${count(n)})`);
    const more = n_tensors - named.length;
    const list = named.join(', ') + (more > 0 ? ` and ${count(more)} more` : '');
    return `${percent(share)} of the model's parameters (${count(n)}) lie in matrices that this job could not reach, and stay as they are: ${list}.`;
  },

  input_not_used: ({ unused }) =>
    unused.map(({ input, reason }) => `The ${INPUT_WORDS[input]} that came were not used: ${reason}.`),

  inputs_unreached: ({ unreached }) =>
    [...unreached].map(
      ([name, share]) =>
        `No calibration sample reached ${share === 1 ? 'the layer' : `${percent(share)} of the layer`} of ${name}: what nothing is known of is scored as if it got what the others get on average, thus by magnitude. More samples would tell.`,
    ),

  heavy_tailed_scores(facts) {
    const { nEff, n } = effectiveSize(facts);
    if (n === 0 || nEff >= HEAVY_TAILED * n) return null;
    return `${describeSize(nEff, n)}: a few scores hold most of the mass. That the rest can go does not follow: trust only what is measured.`;
  },

  uniform_scores(facts) {
    const { nEff, n } = effectiveSize(facts);
    if (nEff <= UNIFORM * n) return null;
    return `${describeSize(nEff, n)}: the scores are nearly uniform. They hardly tell what can go, and what an amount takes beyond N_eff is little better than chance.`;
  },

  layer_emptied: ({ groups }) =>
    groups
      .filter((group) => isScored(group) && group.n_keep === 0)
      .map(
        ({ name, n }) =>
          `${name} keeps none of ${count(n)} weights: nothing passes through it any more; min_density sets a floor.`,
      ),

  low_density: ({ groups, granularity }) =>
    groups
      .filter((group) => isScored(group) && group.n_keep > 0 && group.n_keep / group.n < LOW_DENSITY)
      .map(
        ({ name, n, n_keep }) =>
          `${name} keeps only ${count(n_keep)} of ${counted(n, GRANULARITIES[granularity].unit)}; min_density sets a floor.`,
      ),

  all_zero_tensor: ({ groups, granularity }) =>
    groups
      .filter((group) => !isScored(group))
      .map(({ name, n, n_keep }) =>
        n_keep === n
          ? `The scores of ${name} are all zero: it has no N_eff and is left as it is.`
          : `The scores of ${name} are all zero and count for nothing beside those of the others: it keeps ${count(n_keep)} of ${counted(n, GRANULARITIES[granularity].unit)}.`,
      ),

  all_zero_rows: ({ zeroRows }) =>
    [...zeroRows].map(([name, rows]) =>
      rows === 1
        ? `${name} has a row of zero scores: it has no N_eff and is left as it is.`
        : `${name} has ${count(rows)} rows of zero scores: they have no N_eff and are left as they are.`,
    ),

  min_density_applied({ raised, granularity }) {
    if (raised.length === 0 || granularity !== 'weight') return null;
    return `min_density keeps more than the threshold would in ${listNames(raised)}.`;
  },

  counts_raised({ raised, granularity }) {
    if (raised.length === 0 || granularity === 'weight') return null;
    return `min_density, or that one ${GRANULARITIES[granularity].unit.one} has to stay, keeps more than EMP's count in ${listNames(raised)}.`;
  },

  families_pooled({ pooled, granularity }) {
    if (pooled.length === 0) return null;
    return `Families of few ${GRANULARITIES[granularity].unit.many} share one N_eff, for the floor of their own would remove one of each for next to nothing: ${listNames(pooled)}.`;
  },

  nothing_removed({ total, granularity }) {
    if (total.n_keep < total.n) return null;
    const reasons =
      granularity === 'weight'
        ? ' or beta is large'
        : ', beta is large, or counts were rounded up (round_to)';
    return `Every ${GRANULARITIES[granularity].unit.one} is kept: the scores are flat${reasons}.`;
  },
} as const satisfies Partial<Record<WarningCode, WarningTexts>>;

const TEXTS: Readonly<Record<WarningCode, WarningTexts>> = { ...MEASURED_WARNINGS, ...DECIDED_WARNINGS };

/** What to beware of, the gravest first. */
export function warningsOf(facts: VerdictFacts): { code: WarningCode; text: string }[] {
  const codes = Object.keys(WARNING_CODES) as WarningCode[];
  return codes.flatMap((code) => [TEXTS[code](facts) ?? []].flat().map((text) => ({ code, text })));
}

/** All-zero tensors have a warning of their own. */
const isScored = ({ n_eff }: ScoredGroup): boolean => n_eff !== null;

/**
 * N_eff and N of what EMP decides by: the whole vector with scope global; else the tensors' own, added up, since layers of different
 * scale make the whole vector look heavy-tailed without any effect on what is kept. (Of the rows only the decision knows; the sum of
 * their N_eff is never below their tensor's.)
 */
function effectiveSize({ total, groups }: VerdictFacts): { nEff: number; n: number } {
  if (total.n_eff !== null) return { nEff: total.n_eff, n: total.n };
  const scored = groups.filter(isScored);
  return {
    nEff: scored.reduce((sum, { n_eff }) => sum + (n_eff ?? 0), 0),
    n: scored.reduce((sum, { n }) => sum + n, 0),
  };
}

/** Of few scores the fraction counts. */
function describeSize(nEff: number, n: number): string {
  const size = nEff < 1000 ? number(nEff) : count(Math.round(nEff));
  return `N_eff is ${size} of ${count(n)} (${percent(Math.min(1, nEff / n))})`;
}
