import { createHash } from 'node:crypto';
import { packMask } from '../../core/keep-mask.ts';
import { statisticsOfBlocks } from '../../core/statistics.ts';
import { CHANNEL_BLOCK } from '../../recipe/terms.ts';
import type { FamilyReport, Report } from '../../report/report.ts';
import { createScoreDistribution } from '../../report/score-distribution.ts';
import { type FrozenAxis, producersOf } from '../../structure/families.ts';
import { describeFrozen } from '../../structure/overview.ts';
import type { ReportContent } from '../scored.ts';
import { type FamilyDecision, loadScores, type StructureDecision } from './decide.ts';
import { roundingSteps } from './rounding.ts';

/**
 * What a report says of structures that were removed.
 * @param untouched what lies in no structure that could be removed
 * @param parameters of the dense model and of the pruned one, null of a dry run
 */
export function structureContent(
  decision: StructureDecision,
  frozen: readonly FrozenAxis[],
  untouched: Report['untouched'],
  parameters: { readonly dense: number; readonly pruned: number | null },
): ReportContent {
  const { families, global, preservedMass, preservedMassBound, pooled, sparsity } = decision;
  const reports = families.map(familyReport);
  const n = reports.reduce((sum, family) => sum + family.n, 0);
  return {
    total: {
      n,
      n_keep: reports.reduce((sum, family) => sum + family.n_keep, 0),
      sparsity,
      n_eff: global?.nEff ?? null,
      threshold: global?.threshold ?? null,
      preserved_mass: preservedMass,
      preserved_mass_bound: preservedMassBound,
    },
    untouched,
    tensors: [],
    scores: distributionOf(families),
    structures: {
      families: reports,
      n_frozen: frozen.length,
      frozen: describeFrozen(frozen),
      parameters,
    },
    loss_bound: null,
    allocation: null,
    groups: reports,
    zeroRows: new Map(),
    raised: families.filter(({ isRaised }) => isRaised).map(({ family }) => family.name),
    pooled,
    uneven: unevenIn(families),
  };
}

function unevenIn(decided: readonly FamilyDecision[]): string[] {
  const steps = roundingSteps(
    decided.map(({ family }) => family),
    CHANNEL_BLOCK,
  );
  const isUneven = ({ kept, nKeep }: FamilyDecision, i: number) =>
    nKeep < kept.length && nKeep % steps[i] !== 0;
  return decided.filter(isUneven).map(({ family }) => family.name);
}

function familyReport(decided: FamilyDecision): FamilyReport {
  const { family, kept, nKeep, nEff, threshold, preservedMass } = decided;
  const n = kept.length;
  return {
    name: family.name,
    kind: family.kind,
    n,
    n_keep: nKeep,
    sparsity: 1 - nKeep / n,
    n_eff: nEff,
    threshold,
    preserved_mass: preservedMass,
    producers: producersOf(family),
    mask_sha256: createHash('sha256').update(packMask(kept)).digest('hex'),
  };
}

function distributionOf(families: readonly FamilyDecision[]): Report['scores'] {
  const scores = Float64Array.from(families.flatMap((family) => [...family.scores]));
  const { kernel, partials } = loadScores(scores);
  kernel.summarize(partials, 0);
  const histogram = Float64Array.from(kernel.takeHistogram());
  const statistics = statisticsOfBlocks(partials, scores.length);
  return createScoreDistribution({ histogram, statistics, keyDigits: kernel.digits });
}
