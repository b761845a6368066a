import type { PairedRisk } from '../core/risk-test.ts';
import type { Drift, DriftErrors } from './drift.ts';
import { type Metrics, NOT_MEASURED } from './model-metrics.ts';
import type { ComparedOutput, Look } from './output-drift.ts';
import { type Constancy, isVanished, leastVariance } from './output-spread.ts';

/** What a target bounds of one output, sample by sample. */
export interface OutputRisk extends PairedRisk {
  /** Of a sample, at most. */
  readonly positionsPerSample: number;
}

/** How far one output of several is from the dense model's. */
export interface OutputFigures
  extends Pick<Metrics, 'relative_l2' | 'cosine' | 'top1_agreement' | 'kl' | 'cosine_distance'> {
  readonly name: string;
}

/** Constant where one output is. */
interface Farthest extends Constancy {
  /** Each of the output that it is worst of: the largest distance and divergence, the smallest cosine and agreement. */
  readonly metrics: Metrics;
  /** Of the same outputs. */
  readonly standardErrors: DriftErrors;
  /** Of every output that has it. */
  readonly risks: Readonly<
    Record<'relative_l2' | 'top1_agreement' | 'kl' | 'cosine_distance', readonly OutputRisk[]>
  >;
  /** Whether no output with predictions has more than one. */
  readonly isOneAnswer: boolean;
  /** Null where there is one output. */
  readonly byOutput: readonly OutputFigures[] | null;
}

/** An output, what it is like, and how far pruning moves it. */
export interface DriftedOutput {
  readonly output: Pick<ComparedOutput, 'name'>;
  readonly look: Pick<Look, 'positionsPerSample'>;
  readonly drift: Drift;
}

/** Predictions may stay while the numbers that they are made of shrink: only where there are none do these tell. */
function isConstant(drift: Drift): boolean {
  if (drift.hasPredictions && !drift.isOneAnswer) return drift.isPrunedOneAnswer;
  return isVanished(drift.variance);
}

/** The drift of a model by its outputs: what is within a limit is so in all of them. A figure that is not finite is worse than any. */
export function farthestOf(drifted: readonly DriftedOutput[]): Farthest {
  const all = drifted.map(({ output, look, drift }) => ({
    ...{ name: output.name, drift, positionsPerSample: look.positionsPerSample },
    ...{ metrics: drift.metrics, errors: drift.standardErrors },
  }));
  const predicting = all.filter(({ drift }) => drift.hasPredictions);
  const classes = all.filter(({ drift }) => drift.hasDivergence);
  const vectors = all.filter(({ drift }) => drift.hasDirections);
  // Outputs that are 0 and stay so have no direction that could be lost.
  const directed = all.filter(({ metrics }) => metrics.relative_l2 !== 0 || metrics.cosine !== null);
  const variance = leastVariance(all.map(({ drift }) => drift.variance));
  const distance = worstBy(all, ({ metrics }) => metrics.relative_l2);
  const direction = worstBy(directed, ({ metrics }) => negative(metrics.cosine));
  const agreement = worstBy(predicting, ({ metrics }) => negative(metrics.top1_agreement));
  const divergence = worstBy(classes, ({ metrics }) => metrics.kl);
  const turn = worstBy(vectors, ({ metrics }) => metrics.cosine_distance);
  const riskOf = (of: typeof all, risk: (drift: Drift) => PairedRisk) =>
    of.map(({ drift, positionsPerSample }) => ({ ...risk(drift), positionsPerSample }));
  return {
    metrics: {
      ...NOT_MEASURED,
      relative_l2: distance?.metrics.relative_l2 ?? null,
      cosine: direction?.metrics.cosine ?? null,
      top1_agreement: agreement?.metrics.top1_agreement ?? null,
      kl: divergence?.metrics.kl ?? null,
      cosine_distance: turn?.metrics.cosine_distance ?? null,
    },
    standardErrors: {
      relative_l2_standard_error: distance?.errors.relative_l2_standard_error ?? null,
      disagreement_standard_error: agreement?.errors.disagreement_standard_error ?? null,
      kl_standard_error: divergence?.errors.kl_standard_error ?? null,
      cosine_distance_standard_error: turn?.errors.cosine_distance_standard_error ?? null,
    },
    risks: {
      relative_l2: riskOf(all, (drift) => drift.squaredL2Risk),
      top1_agreement: riskOf(predicting, (drift) => drift.disagreementRisk),
      kl: riskOf(classes, (drift) => drift.klRisk),
      cosine_distance: riskOf(vectors, (drift) => drift.cosineDistanceRisk),
    },
    isOneAnswer: predicting.length > 0 && predicting.every(({ drift }) => drift.isOneAnswer),
    isConstant: all.some(({ drift }) => isConstant(drift)),
    variance,
    byOutput: all.length > 1 ? all.map(({ name, metrics }) => figuresOf(name, metrics)) : null,
  };
}

/** The first of those whose value is largest; null is larger than any. */
function worstBy<T>(all: readonly T[], amountOf: (each: T) => number | null): T | undefined {
  const badness = (each: T) => amountOf(each) ?? Number.POSITIVE_INFINITY;
  return all.reduce<T | undefined>(
    (worst, each) => (worst === undefined || badness(each) > badness(worst) ? each : worst),
    undefined,
  );
}

function negative(value: number | null): number | null {
  return value === null ? null : -value;
}

function figuresOf(name: string, measured: Metrics): OutputFigures {
  const { relative_l2, cosine, top1_agreement, kl, cosine_distance } = measured;
  return { name, relative_l2, cosine, top1_agreement, kl, cosine_distance };
}
