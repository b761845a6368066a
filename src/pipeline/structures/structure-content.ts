import { createHash } from 'node:crypto';
import { statisticsOfBlocks } from '../../core/statistics.ts';
import type { ModelInventory } from '../../formats/model.ts';
import type { FamilyReport, Report } from '../../report/report.ts';
import { createScoreDistribution } from '../../report/score-distribution.ts';
import { type FrozenAxis, producersOf } from '../../structure/families.ts';
import { describeFrozen } from '../../structure/overview.ts';
import type { ReportContent } from '../subject.ts';
import { type FamilyDecision, loadScores } from './decide-structures.ts';
import { type PrunedStructures, packMask } from './structure-pruner.ts';

interface ContentInput {
  readonly frozen: readonly FrozenAxis[];
  readonly dense: ModelInventory;
  readonly isDryRun: boolean;
}

/** What a report says of structures that were removed. */
export function structureContent(
  { decision, sparsity, inventory }: PrunedStructures,
  { frozen, dense, isDryRun }: ContentInput,
): ReportContent {
  const { families, global, preservedMass, preservedMassBound, pooled } = decision;
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
    tensors: [],
    scores: distributionOf(families),
    structures: {
      families: reports,
      n_frozen: frozen.length,
      frozen: describeFrozen(frozen),
      parameters: { dense: dense.nParameters, pruned: isDryRun ? null : inventory.nParameters },
    },
    loss_bound: null,
    groups: reports,
    zeroRows: new Map(),
    raised: families.filter(({ isRaised }) => isRaised).map(({ family }) => family.name),
    pooled,
  };
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
