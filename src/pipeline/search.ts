import type { Target } from '../recipe/target.ts';
import { excessOver, standardErrorOf } from '../report/target-excess.ts';
import type { Measurement } from '../runtime/evaluation.ts';
import type { Metrics } from '../runtime/model-metrics.ts';
import type { BetaPoint } from './candidates.ts';

/** What a search has found. */
export interface Found<P = BetaPoint> {
  readonly beta: number;
  /** All that was measured, in order. */
  readonly evaluations: readonly P[];
  /** Whether it stays within the limit, its margin included, on the samples that it was searched on. */
  readonly isWithin: boolean;
}

/** A model at a beta, however it is measured. */
type Point = Pick<BetaPoint, 'beta' | 'sparsity'>;

export interface BetaSearch<P extends Point> {
  /** How far beyond the limit a model is, its margin included: 0 or less is within. */
  excessOf(point: P): number;
  /** Prunes and measures at a beta. */
  measure(beta: number): Promise<P>;
  /** Whether the model that was measured at a beta takes fewer bytes than the dense one, or never would: one that does not is not preferred. */
  isSmaller(beta: number): boolean;
  /** Below which nothing is pruned. */
  readonly minDensity?: number;
}

/** Models measured in all, the one that is written included: it is measured again when it is. */
export const MAX_EVALUATIONS = 14;
/** Where the search looks first, from the sparse end. */
const COARSE_SPARSITIES = [0.9, 0.75, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1];
/** EMP's own answer stands for grid points this near. */
const NEAR = 0.03;
/** An interval is looked through at this many inner points, then the part of it where the target comes to be met. */
const INNER_POINTS = 3;
/** Sparsities closer than this are the same answer. */
const RESOLUTION = 0.004;
/** Beyond the densest point that was measured, in betas that keep as much if what is kept grows as beta does. */
const FARTHEST = 4;
/** Sparsities are quotients: the same one may differ by this. */
const ROUNDING = 1e-9;

/**
 * The smallest beta that stays within a limit. Loss is not monotone in beta, so nothing is bisected: a coarse grid of
 * sparsities is looked through from the sparse end, then the interval above the first point that is within, again from the sparse end, and so
 * on. Beta 1, EMP's own answer, is the first point. Which beta is next follows from what was measured before.
 */
export async function searchBeta<P extends Point>({
  excessOf,
  measure,
  isSmaller,
  minDensity = 0,
}: BetaSearch<P>): Promise<Found<P>> {
  const evaluations: P[] = [];
  const visit = async (beta: number) => {
    const point = await measure(beta);
    evaluations.push(point);
    return point;
  };
  const isWithin = (point: P) => excessOf(point) <= 0;
  const own = await visit(1);

  // The ends of the interval that holds the answer: the denser one meets the target, as the dense model does, the sparser one does not.
  let met: P | null = null;
  let [sparser, denser] = [1, 0];
  const left = () => MAX_EVALUATIONS - 1 - evaluations.length;
  /** Looks at sparsities, sparsest first, up to one that meets the target. */
  const scan = async (sparsities: readonly number[]) => {
    for (const sparsity of sparsities) {
      if (sparsity > sparser - ROUNDING) continue; // one that was to be sparser came out this dense
      if (sparsity !== own.sparsity && left() === 0) return;
      const point = sparsity === own.sparsity ? own : await visit(betaFor(sparsity, evaluations));
      if (isWithin(point)) {
        met = point;
        denser = point.sparsity;
        return;
      }
      sparser = point.sparsity;
    }
  };
  const coarse = COARSE_SPARSITIES.filter(
    (sparsity) => Math.abs(sparsity - own.sparsity) > NEAR && sparsity <= 1 - minDensity,
  );
  await scan([...coarse, own.sparsity].filter((sparsity) => sparsity > 0).sort((a, b) => b - a));
  while (left() > 0 && sparser - denser > RESOLUTION) {
    const points = Math.min(INNER_POINTS, left());
    const [from, width] = [sparser, sparser - denser];
    await scan(Array.from({ length: points }, (_, i) => from - (width * (i + 1)) / (points + 1)));
    if (sparser - denser === width) break; // no model lies between
  }
  const pruned = evaluations.filter(({ sparsity }) => sparsity > 0);
  const gains = (point: P) => isWithin(point) && (point.sparsity === 0 || isSmaller(point.beta));
  const sparsest = evaluations.filter(gains).sort((a, b) => b.sparsity - a.sparsity || a.beta - b.beta)[0];
  const preferred = met === null || gains(met) ? met : (sparsest ?? met);
  const chosen = preferred ?? nearest(pruned.length > 0 ? pruned : evaluations, excessOf);
  return { isWithin: met !== null, beta: chosen.beta, evaluations };
}

/** How far beyond a target a model is that was measured on the samples that choices are made on: by one standard error more than it is, unless it will be tested anyway. */
export function excessWithMargin(target: Target, dense: Metrics, measured: Measurement): number {
  return excessOver(target, dense, measured) + marginOf(target, measured);
}

/** By how many of its standard errors a model is within a target; less than 0 beyond it. */
export function standardErrorsWithin(target: Target, dense: Metrics, measured: Measurement): number {
  const excess = excessOver(target, dense, measured);
  const error = standardErrorOf(target, measured) ?? 0;
  if (error > 0) return -excess / error;
  return excess <= 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
}

/** The beta of a sparsity, along the line between the measured points on either side, or through the two densest: sparsity falls with beta, not evenly. */
export function betaFor(sparsity: number, measured: readonly Point[]): number {
  const points = [{ beta: 0, sparsity: 1 }, ...measured].sort((a, b) => a.beta - b.beta);
  const denserPoint = points.findIndex((point) => point.sparsity <= sparsity);
  const to = denserPoint === -1 ? points.length - 1 : denserPoint;
  const from = points.findLastIndex((point, i) => i < to && point.sparsity > points[to].sparsity);
  const [a, b] = [points[from], points[to]];
  const beta = a.beta + ((b.beta - a.beta) * (a.sparsity - sparsity)) / (a.sparsity - b.sparsity);
  if (denserPoint !== -1) return beta;
  // Two points of nearly one sparsity, as min_density makes them, tell nothing of what lies beyond: what is kept grows about as beta does.
  return Math.min(beta, (FARTHEST * b.beta * (1 - sparsity)) / (1 - b.sparsity));
}

/**
 * How far below the target an estimate must be on the samples that are searched on, in the unit of `excessOver`: what is chosen as just within it is
 * beyond it on other samples as often as not. A promise is tested on these, so that its search may end where the estimate does.
 */
function marginOf(target: Target, measured: Measurement): number {
  return target.confidence === undefined ? (standardErrorOf(target, measured) ?? 0) : 0;
}

function nearest<P>(points: readonly P[], excess: (point: P) => number): P {
  return points.reduce((best, point) => (excess(point) < excess(best) ? point : best));
}
