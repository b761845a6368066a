import { targetOf } from '../recipe/target.ts';
import { TARGETS, type TargetName } from '../recipe/terms.ts';
import type { Metrics } from './cost.ts';
import { type Metric, mainMetrics } from './metric-figures.ts';
import type { Evaluation, Report } from './report.ts';
import { chosenBeta } from './reported-recipe.ts';

/** From this ratio of the largest to the smallest loss on, a linear axis shows nothing of the small ones. */
const LOG_FROM_RATIO = 8;
/** How far the axis goes on both sides of the dense model, in differences of what the chart is about. */
const WINDOW = 4;

/** A pruned model that was measured; without a beta where a budget decided. */
export type Point = Metrics & { readonly beta: number | null; readonly sparsity: number };

/** One metric of all pruned models that were measured. */
export interface Curve {
  readonly metric: Metric;
  /** By ascending sparsity; the chosen model and beta 1 among them. */
  readonly points: readonly Point[];
  readonly chosen: Point;
  /** EMP's own answer where it was measured and not chosen. */
  readonly beta1: Point | null;
  readonly uniform: Evaluation['uniform'];
  readonly dense: number | null;
  readonly limit: number | null;
  readonly scale: Scale;
}

export interface Scale {
  readonly isLogarithmic: boolean;
  readonly least: number;
  readonly most: number;
}

/** Of the main metrics; none where only one pruned model was measured. */
export function curvesOf(report: Report, evaluation: Evaluation): Curve[] {
  const { points, chosen, dense: densely, uniform } = measuredTogether(report, evaluation);
  if (points.length < 2) return [];
  const beta1 = points.find((point) => point.beta === 1 && point !== chosen) ?? null;
  return mainMetrics(evaluation).map((metric) => {
    const dense = densely[metric.name];
    const limit = limitOf(metric, evaluation, densely);
    const valuesOf = (models: readonly (Metrics | null)[]) =>
      models.flatMap((model) => model?.[metric.name] ?? []);
    const levels = [dense, limit].filter((level) => level !== null);
    const all = [...valuesOf([...points, uniform]), ...levels];
    const subject = [...valuesOf([chosen, beta1, uniform, ...evaluation.sweep]), ...levels];
    const isNear = evaluation.search !== null && dense !== null;
    const scale = createScale(metric, all, isNear ? { subject, dense } : null);
    return { metric, points, chosen, beta1, uniform, dense, limit, scale };
  });
}

/** What was measured on the same samples: with a search on those that it was searched on, unless a ladder was climbed on the others. */
function measuredTogether(report: Report, evaluation: Evaluation) {
  const { search, sweep, beta_1, uniform, dense } = evaluation;
  const own: Point = { beta: chosenBeta(report), sparsity: report.total.sparsity, ...evaluation.pruned };
  const ladder = search?.promise.ladder ?? [];
  if (search === null || ladder.length > 0) {
    const others = [...ladder, ...sweep, ...(beta_1 ? [{ beta: 1, ...beta_1 }] : [])];
    return { ...sorted(others, own), dense, uniform };
  }
  const found = search.evaluations.find(({ beta }) => beta === search.beta) ?? own;
  return { ...sorted(search.evaluations, found), dense: search.dense, uniform: null };
}

/** By sparsity; of the same beta once, the chosen one before others. */
function sorted(models: readonly Point[], chosen: Point): { points: Point[]; chosen: Point } {
  const points = new Map<number | null, Point>();
  for (const point of [...models, chosen]) points.set(point.beta, point);
  return { points: [...points.values()].sort((a, b) => a.sparsity - b.sparsity), chosen };
}

function limitOf({ name }: Metric, { search }: Evaluation, dense: Metrics): number | null {
  const asked = search && targetOf(search);
  if (!asked || TARGETS[asked.name].metric !== name) return null;
  return LEVELS[asked.name](asked.limit, dense);
}

/** Where a metric meets a target; null where the dense model has no figure to go by. */
const LEVELS: Readonly<Record<TargetName, (limit: number, dense: Metrics) => number | null>> = {
  max_loss_increase: (limit, { loss }) => loss && loss * (1 + limit),
  max_accuracy_drop: (limit, { accuracy }) => accuracy && accuracy - limit,
  max_disagreement: (limit) => 1 - limit,
  max_kl: (limit) => limit,
  max_relative_l2: (limit) => limit,
  max_cosine_distance: (limit) => limit,
};

/**
 * A search also looks where a model is ruined, and on an axis that reaches there nothing else can be told apart. So the axis stays near
 * `subject`, what the chart is about.
 */
function createScale(
  { name }: Metric,
  all: readonly number[],
  near: { readonly subject: readonly number[]; readonly dense: number } | null,
): Scale {
  let [least, most] = [Math.min(...all), Math.max(...all)];
  const room = near ? WINDOW * Math.max(...near.subject.map((value) => Math.abs(value - near.dense))) : 0;
  if (near && room > 0) {
    least = Math.max(least, near.dense - room);
    most = Math.min(most, near.dense + room);
  }
  return { isLogarithmic: name === 'loss' && least > 0 && most / least > LOG_FROM_RATIO, least, most };
}
