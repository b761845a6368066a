import type { Evaluation } from './report.ts';
import { count, number, percent, points } from './wording.ts';

type Latencies = 'latency_ms' | 'latency_extended_ms';
export type Metrics = Omit<Evaluation['dense'], Latencies>;

/** With the standard errors where they are known. */
export type Measured = Omit<Evaluation['pruned'], Latencies>;

export const isLabeled = ({ dense }: Evaluation): boolean => dense.loss !== null || dense.accuracy !== null;

/** Differences of sparsity that nobody would speak of. */
const AS_SPARSE = 0.005;

/** The evenly spread model beside the pruned one of a sparsity: counts of structures are rounded up, which may leave it less sparse. */
export function compareSparsity(
  uniform: NonNullable<Evaluation['uniform']>,
  sparsity: number,
): 'as sparse' | 'less sparse' | 'more sparse' {
  const difference = uniform.sparsity - sparsity;
  if (Math.abs(difference) <= AS_SPARSE) return 'as sparse';
  return difference < 0 ? 'less sparse' : 'more sparse';
}

/** What texts call the loss. */
const LOSS_NAMES = {
  cross_entropy: 'loss',
  binary_cross_entropy: 'binary cross-entropy',
  mean_squared_error: 'mean squared error',
} as const satisfies Record<NonNullable<Evaluation['loss_kind']>, string>;

export function lossName({ loss_kind }: Pick<Evaluation, 'loss_kind'>): string {
  return LOSS_NAMES[loss_kind ?? 'cross_entropy'];
}

/** ` (3,000 positions)` where a sample has several labels, or ones that do not count. */
export function describePositions({ n_samples, n_positions, loss_kind }: Evaluation): string {
  if (n_positions === n_samples) return '';
  const isClasses = loss_kind === null || loss_kind === 'cross_entropy';
  return ` (${count(n_positions)} ${isClasses ? 'positions' : 'numbers'})`;
}

/** Beyond it a percentage says less than the loss itself. */
const MAX_SHARE = 100;

/** How amounts of loss are shown, the largest of them given: all relative to the dense model's, or none where that is next to zero. */
export function lossFormat(largest: number, denseLoss: number): (amount: number) => string {
  return largest / denseLoss <= MAX_SHARE ? (amount) => percent(amount / denseLoss) : number;
}

/** `1,000 samples`, with the positions where a sample has several. */
export function describeSamples(evaluation: Evaluation): string {
  const { n_samples } = evaluation;
  const counted = `${count(n_samples)} sample${n_samples === 1 ? '' : 's'}${describePositions(evaluation)}`;
  return isLabeled(evaluation) ? counted : `${counted} without labels`;
}

/** `a loss increase of 1 %`, `an accuracy drop of 0.5 points`. */
export function describeTarget(target: NonNullable<Evaluation['search']>['target']): string {
  const { max_loss_increase, max_accuracy_drop = 0 } = target;
  return max_loss_increase === undefined
    ? `an accuracy drop of ${number(100 * max_accuracy_drop)} ${max_accuracy_drop === 0.01 ? 'point' : 'points'}`
    : `a loss increase of ${number(100 * max_loss_increase)} %`;
}

/** From what to what the figures of the dense model go. */
export function describeCost(evaluation: Evaluation, pruned: Measured = evaluation.pruned): string {
  const parts = [...lossPart(evaluation, pruned), ...accuracyPart(evaluation, pruned)];
  return (parts.length > 0 ? parts : driftParts(pruned)).join(' and ');
}

function lossPart({ dense, loss_kind }: Evaluation, pruned: Measured): string[] {
  if (dense.loss === null) return [];
  const from = `${lossName({ loss_kind })} from ${number(dense.loss)} to`;
  if (pruned.loss === null) return [`${from} a value that is not finite`];
  const increase = pruned.loss - dense.loss;
  const error = pruned.loss_increase_standard_error;
  const show = lossFormat(Math.max(Math.abs(increase), error ?? 0), dense.loss);
  const details = [`${show(Math.abs(increase))} ${increase < 0 ? 'less' : 'more'}`];
  if (error !== null) details.push(`standard error ${show(error)}`);
  if (dense.perplexity !== null && pruned.perplexity !== null)
    details.push(`perplexity from ${number(dense.perplexity)} to ${number(pruned.perplexity)}`);
  return [`${from} ${number(pruned.loss)} (${details.join(', ')})`];
}

function accuracyPart({ dense }: Evaluation, pruned: Measured): string[] {
  if (dense.accuracy === null || pruned.accuracy === null) return [];
  const drop = dense.accuracy - pruned.accuracy;
  const error = pruned.accuracy_drop_standard_error;
  const details = [`${points(Math.abs(drop))} ${drop < 0 ? 'higher' : 'lower'}`];
  if (error !== null) details.push(`standard error ${points(error)}`);
  return [
    `accuracy from ${accuracy(dense.accuracy)} to ${accuracy(pruned.accuracy)} (${details.join(', ')})`,
  ];
}

function driftParts({ relative_l2, cosine, top1_agreement }: Metrics): string[] {
  const parts: string[] = [];
  if (relative_l2 !== null) {
    const alike = cosine === null ? '' : `, cosine ${cosine < 1 ? Math.min(cosine, 0.9999).toFixed(4) : '1'}`;
    parts.push(`the outputs move by ${percent(relative_l2)} (relative L2${alike})`);
  }
  if (top1_agreement !== null)
    parts.push(`${percent(top1_agreement)} of the top-1 predictions stay the same`);
  return parts.length > 0 ? parts : ['how far the outputs move has no finite figure'];
}

const accuracy = (share: number): string => `${(100 * share).toFixed(2)} %`;
