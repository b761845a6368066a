/** What a target of quality bounds, as it was measured: how much, what stands behind its ±, and what is allowed. */
import { type Target, targetOf } from '../recipe/target.ts';
import type { TargetName } from '../recipe/terms.ts';
import type { Evaluation } from './report.ts';
import { excessOver, standardErrorOf } from './target-excess.ts';
import { ERRORS, number, pointLimit, unseenShare } from './wording.ts';

type Figures = Pick<Evaluation, 'dense' | 'pruned' | 'n_samples'>;

/** From this loss on a change is told in the loss itself. */
const MAX_SHARE = 100;
const MAX_DECIMALS = 6;

/** Of these a sample has a share that changes: where none was seen to, some may. */
const SHARES: ReadonlySet<TargetName> = new Set(['max_accuracy_drop', 'max_disagreement']);

/** Half of the interval of what is promised, in the unit of the excess; null where it is not known. */
export function marginOf(target: Target, { pruned, n_samples }: Figures): number | null {
  const asked = targetOf({ target });
  const error = standardErrorOf(target, pruned);
  if (asked === null || error === null) return null;
  return error === 0 && SHARES.has(asked.name) ? unseenShare(n_samples) : ERRORS * error;
}

/** Whether a promise without a confidence is kept by its figures alone: their interval reaches beyond the limit. */
export function isOnlyEstimated(evaluation: Evaluation | null): boolean {
  if (!evaluation?.search) return false;
  const { target, met } = evaluation.search;
  if (!met || target.confidence !== undefined) return false;
  const margin = marginOf(target, evaluation);
  return margin === null || excessOver(target, evaluation.dense, evaluation.pruned) + margin > 0;
}

/** `loss 2.6 ± 3.4 % higher, 2 % allowed`. */
export function describePromised(target: Target, figures: Figures): string {
  const asked = targetOf({ target });
  if (asked === null) return 'nothing is promised of its quality';
  const allowed = `${ALLOWED[asked.name](asked.limit)} allowed`;
  const measured = MEASURED[asked.name](figures, marginOf(target, figures));
  return `${measured ?? 'what it costs is not known'}, ${allowed}`;
}

/** Null where it was not measured, or is not finite. */
type Describe = (figures: Figures, margin: number | null) => string | null;

const MEASURED: Readonly<Record<TargetName, Describe>> = {
  max_loss_increase({ dense, pruned }, margin) {
    if (dense.loss === null || pruned.loss === null) return null;
    const change = pruned.loss - dense.loss;
    const isShare = Math.max(Math.abs(change), margin ?? 0) <= MAX_SHARE * dense.loss;
    const [scale, unit] = isShare && dense.loss > 0 ? [100 / dense.loss, ' %'] : [1, ''];
    return describeChange('loss', scale * change, scaled(margin, scale), 1, unit, ['lower', 'higher']);
  },
  max_accuracy_drop({ dense, pruned }, margin) {
    if (dense.accuracy === null || pruned.accuracy === null) return null;
    const drop = 100 * (dense.accuracy - pruned.accuracy);
    return describeChange('accuracy', drop, scaled(margin, 100), 2, ' points', ['higher', 'lower']);
  },
  max_disagreement: ({ pruned: { top1_agreement } }, margin) =>
    top1_agreement === null
      ? null
      : `${plusMinus(100 * (1 - top1_agreement), scaled(margin, 100), 1)} % of predictions change`,
  max_kl: ({ pruned: { kl } }, margin) => (kl === null ? null : `KL divergence ${distance(kl, margin)} nats`),
  max_relative_l2: ({ pruned: { relative_l2 } }, margin) =>
    relative_l2 === null ? null : `outputs move by ${plusMinus(100 * relative_l2, scaled(margin, 100), 1)} %`,
  max_cosine_distance: ({ pruned: { cosine_distance } }, margin) =>
    cosine_distance === null ? null : `cosine distance ${distance(cosine_distance, margin)}`,
};

const ALLOWED: Readonly<Record<TargetName, (limit: number) => string>> = {
  max_loss_increase: (limit) => `${number(100 * limit)} %`,
  max_accuracy_drop: pointLimit,
  max_disagreement: (limit) => `${number(100 * limit)} %`,
  max_kl: (limit) => `${number(limit)} nats`,
  max_relative_l2: (limit) => `${number(100 * limit)} %`,
  max_cosine_distance: (limit) => number(limit),
};

function describeChange(
  name: string,
  change: number,
  margin: number | null,
  decimals: number,
  unit: string,
  [less, more]: readonly [string, string],
): string {
  const digits = decimalsFor(margin, decimals);
  if (Number(change.toFixed(digits)) === 0)
    return margin ? `${name} unchanged (± ${margin.toFixed(digits)}${unit})` : `${name} unchanged`;
  return `${name} ${plusMinus(Math.abs(change), margin, decimals)}${unit} ${change < 0 ? less : more}`;
}

/** A distance is told to the digits of its own, not to those of a unit. */
const distance = (value: number, margin: number | null): string =>
  margin ? `${number(value)} ± ${Number(margin.toPrecision(2))}` : number(value);

function plusMinus(value: number, margin: number | null, decimals: number): string {
  const digits = decimalsFor(margin, decimals);
  return margin ? `${value.toFixed(digits)} ± ${margin.toFixed(digits)}` : value.toFixed(digits);
}

/** As many as show the first digit of the margin. */
function decimalsFor(margin: number | null, atLeast: number): number {
  return margin ? Math.min(MAX_DECIMALS, Math.max(atLeast, -Math.floor(Math.log10(margin)))) : atLeast;
}

const scaled = (margin: number | null, scale: number): number | null => margin && scale * margin;
