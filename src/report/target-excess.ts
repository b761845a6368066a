import { type Target, targetOf } from '../recipe/target.ts';
import type { TargetName } from '../recipe/terms.ts';
import type { Measured, Metrics } from './cost.ts';

/** Accuracies are quotients: a drop of exactly the target is within it. */
const ROUNDING = 1e-9;

/** How far beyond the target a model is, in the unit of what it bounds: 0 or less is within. */
export function excessOver(target: Target, dense: Metrics, measured: Metrics): number {
  const asked = targetOf({ target });
  if (asked === null) return 0;
  return EXCESSES[asked.name](asked.limit, dense, measured) ?? Number.POSITIVE_INFINITY;
}

/** Of the same; null where it is not known. */
export function standardErrorOf(target: Target, measured: Measured): number | null {
  const asked = targetOf({ target });
  return asked && measured[STANDARD_ERRORS[asked.name]];
}

/** What says how sure the figure is that a target bounds. */
export const STANDARD_ERRORS = {
  max_loss_increase: 'loss_increase_standard_error',
  max_accuracy_drop: 'accuracy_drop_standard_error',
  max_disagreement: 'disagreement_standard_error',
  max_kl: 'kl_standard_error',
  max_relative_l2: 'relative_l2_standard_error',
  max_cosine_distance: 'cosine_distance_standard_error',
} as const satisfies Readonly<Record<TargetName, keyof Measured>>;

/** Null where what a target bounds was not measured, or is not finite. */
type Excess = (limit: number, dense: Metrics, measured: Metrics) => number | null;

const EXCESSES: Readonly<Record<TargetName, Excess>> = {
  max_loss_increase: (limit, { loss: dense }, { loss }) =>
    loss === null || dense === null ? null : loss - dense * (1 + limit),
  max_accuracy_drop: (limit, { accuracy: dense }, { accuracy }) =>
    accuracy === null || dense === null ? null : dense - accuracy - limit - ROUNDING,
  max_disagreement: (limit, _dense, { top1_agreement }) =>
    top1_agreement === null ? null : 1 - top1_agreement - limit - ROUNDING,
  max_kl: (limit, _dense, { kl }) => (kl === null ? null : kl - limit),
  max_relative_l2: (limit, _dense, { relative_l2 }) => (relative_l2 === null ? null : relative_l2 - limit),
  max_cosine_distance: (limit, _dense, { cosine_distance }) =>
    cosine_distance === null ? null : cosine_distance - limit,
};
