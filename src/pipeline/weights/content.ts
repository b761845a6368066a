import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { commonScale, effectiveSampleSize, rescale, sumOf } from '../../core/statistics.ts';
import { openFileSource } from '../../formats/file-source.ts';
import type { Recipe } from '../../recipe/recipe.ts';
import { movedTensors } from '../../report/moved-weights.ts';
import type { Report, TensorReport } from '../../report/report.ts';
import { createScoreDistribution } from '../../report/score-distribution.ts';
import { MASKS_FILE } from '../artifact-names.ts';
import { hashRange } from '../hash-range.ts';
import type { ReportContent } from '../scored.ts';
import type { Decision, TensorScores } from './decide.ts';
import { keptMass } from './kept-mass.ts';
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
  readonly repair: Report['repair'];
}

/** What a report says of pruned weights. */
export async function weightContent(given: WeightContentInput): Promise<ReportContent> {
  const { recipe, untouched, scores, decision, written, hessian } = given;
  const input = { ...given, written: await withMovedMasks(given) };
  const tensors = await tensorReports(input);
  const { histogram, statistics } = scores.summary;
  return {
    total: totalOf(input, tensors),
    untouched,
    tensors,
    scores: createScoreDistribution({ histogram, statistics, ...keyDigits(scores.ranges) }),
    structures: null,
    allocation: null,
    loss_bound: recipe.criterion === 'magnitude' ? lossBound(decision.statistics, written, hessian) : null,
    groups: tensors,
    zeroRows: decision.zeroRows,
    raised: decision.raised,
    pooled: [],
    uneven: [],
  };
}

/** What is kept of tensors whose masks a repair has chosen. */
async function withMovedMasks(input: WeightContentInput): Promise<WrittenTensor[]> {
  const { scores, decision, written, directory, signal, repair } = input;
  const moved = movedTensors(repair);
  await using masks = await openFileSource(join(directory, MASKS_FILE));
  const all: WrittenTensor[] = [];
  for (const [i, tensor] of written.entries()) {
    const { offset, byteLength } = tensor.mask;
    if (!moved.has(scores.tensors[i].name)) all.push(tensor);
    else {
      const mask = await masks.read(offset, offset + byteLength);
      const { scaleExponent } = decision.statistics[i];
      all.push({ ...tensor, keptSum: await keptMass(scores.ranges[i], mask, scaleExponent, signal) });
    }
  }
  return all;
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
  { decision, written, repair }: WeightContentInput,
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
    preserved_mass_bound: movedTensors(repair).size > 0 ? 0 : Math.min(1, decision.preservedMassBound),
  };
}
