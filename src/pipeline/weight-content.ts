import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { commonScale, effectiveSampleSize, rescale, sumOf } from '../core/statistics.ts';
import type { Recipe } from '../recipe/recipe.ts';
import type { Report, TensorReport } from '../report/report.ts';
import { createScoreDistribution } from '../report/score-distribution.ts';
import type { AppliedTensor } from './apply.ts';
import { MASKS_FILE } from './artifact-names.ts';
import type { Decision, ScoredModel } from './decide.ts';
import { hashRange } from './hash-range.ts';
import { type HessianTrace, lossBound } from './loss-bound.ts';
import { KEEP_ALL } from './passes/operation.ts';
import { keyDigits } from './passes/runner.ts';
import type { ReportContent } from './subject.ts';

interface WeightContentInput {
  readonly recipe: Recipe;
  readonly scored: ScoredModel;
  readonly decision: Decision;
  readonly applied: readonly AppliedTensor[];
  readonly hessian: HessianTrace | null;
  readonly outputDirectory: string;
  readonly signal: AbortSignal;
}

/** What a report says of pruned weights. */
export async function weightContent(input: WeightContentInput): Promise<ReportContent> {
  const { recipe, scored, decision, applied, hessian } = input;
  const tensors = await tensorReports(input);
  const { histogram, statistics } = scored.summary;
  return {
    total: totalOf(input, tensors),
    tensors,
    scores: createScoreDistribution({ histogram, statistics, ...keyDigits(scored.scores) }),
    structures: null,
    loss_bound: recipe.criterion === 'magnitude' ? lossBound(decision.statistics, applied, hessian) : null,
    groups: tensors,
    zeroRows: decision.zeroRows,
    raised: decision.raised,
    pooled: [],
  };
}

async function tensorReports({
  scored,
  decision,
  applied,
  outputDirectory,
  signal,
}: WeightContentInput): Promise<TensorReport[]> {
  await using masks = await open(join(outputDirectory, MASKS_FILE));
  const reports: TensorReport[] = [];
  for (const [i, { name, shape, dtype }] of scored.tensors.entries()) {
    const { nKeep, keptSum, mask } = applied[i];
    const statistics = decision.statistics[i];
    const { n, max, sum } = statistics;
    const { log2Min: log2_min, counts, zero } = decision.exponents[i];
    reports.push({
      name,
      shape: [...shape],
      dtype,
      n,
      n_keep: nKeep,
      sparsity: 1 - nKeep / n,
      n_eff: max === 0 ? null : effectiveSampleSize(statistics),
      threshold: thresholdOf(decision, i),
      preserved_mass: max === 0 ? null : Math.min(1, keptSum / sum),
      score_histogram: { log2_min, counts: [...counts], zero },
      mask_sha256: await hashRange(masks, mask, signal),
    });
  }
  return reports;
}

function thresholdOf({ decisions }: Decision, tensor: number): number | null {
  if (decisions.by === 'row' || decisions.thresholds[tensor] === KEEP_ALL) return null;
  return decisions.thresholds[tensor];
}

function totalOf(
  { decision, applied }: WeightContentInput,
  tensors: readonly TensorReport[],
): Report['total'] {
  const n = tensors.reduce((sum, tensor) => sum + tensor.n, 0);
  const n_keep = tensors.reduce((sum, tensor) => sum + tensor.n_keep, 0);
  const { statistics } = decision;
  const scale = commonScale(statistics);
  const total = (sums: readonly number[]) =>
    sumOf(Float64Array.from(sums, (sum, i) => rescale(sum, scale - statistics[i].scaleExponent)));
  const mass = total(statistics.map(({ sum }) => sum));
  const kept = total(applied.map(({ keptSum }) => keptSum));
  return {
    n,
    n_keep,
    sparsity: 1 - n_keep / n,
    n_eff: decision.global?.nEff ?? null,
    threshold: decision.global?.threshold ?? null,
    preserved_mass: mass > 0 ? Math.min(1, kept / mass) : 1,
    preserved_mass_bound: Math.min(1, decision.preservedMassBound),
  };
}
