import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { commonScale, effectiveSampleSize, rescale, sumOf } from '../../core/statistics.ts';
import type { Recipe } from '../../recipe/recipe.ts';
import type { Report, TensorReport } from '../../report/report.ts';
import { createScoreDistribution } from '../../report/score-distribution.ts';
import { MASKS_FILE } from '../artifact-names.ts';
import { hashRange } from '../hash-range.ts';
import type { ReportContent } from '../scored.ts';
import type { Decision, TensorScores } from './decide.ts';
import { type HessianTrace, lossBound } from './loss-change.ts';
import { KEEP_ALL } from './passes/operation.ts';
import { keyDigits } from './passes/runner.ts';
import type { WrittenTensor } from './write.ts';

interface WeightContentInput {
  readonly recipe: Recipe;
  readonly untouched: Report['untouched'];
  readonly scores: TensorScores;
  readonly decision: Decision;
  readonly written: readonly WrittenTensor[];
  readonly hessian: HessianTrace | null;
  /** Holds `masks.safetensors`. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

/** What a report says of pruned weights. */
export async function weightContent(input: WeightContentInput): Promise<ReportContent> {
  const { recipe, untouched, scores, decision, written, hessian } = input;
  const tensors = await tensorReports(input);
  const { histogram, statistics } = scores.summary;
  return {
    total: totalOf(input, tensors),
    untouched,
    tensors,
    scores: createScoreDistribution({ histogram, statistics, ...keyDigits(scores.ranges) }),
    structures: null,
    loss_bound: recipe.criterion === 'magnitude' ? lossBound(decision.statistics, written, hessian) : null,
    groups: tensors,
    zeroRows: decision.zeroRows,
    raised: decision.raised,
    pooled: [],
    uneven: [],
  };
}

async function tensorReports({
  scores,
  decision,
  written,
  directory,
  signal,
}: WeightContentInput): Promise<TensorReport[]> {
  await using masks = await open(join(directory, MASKS_FILE));
  const reports: TensorReport[] = [];
  for (const [i, { name, shape, dtype }] of scores.tensors.entries()) {
    const { nKeep, keptSum, mask } = written[i];
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
  { decision, written }: WeightContentInput,
  tensors: readonly TensorReport[],
): Report['total'] {
  const n = tensors.reduce((sum, tensor) => sum + tensor.n, 0);
  const n_keep = tensors.reduce((sum, tensor) => sum + tensor.n_keep, 0);
  const { statistics } = decision;
  const scale = commonScale(statistics);
  const total = (sums: readonly number[]) =>
    sumOf(Float64Array.from(sums, (sum, i) => rescale(sum, scale - statistics[i].scaleExponent)));
  const mass = total(statistics.map(({ sum }) => sum));
  const kept = total(written.map(({ keptSum }) => keptSum));
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
