import type { Evaluation } from './report.ts';
import { count, number, percent, points } from './wording.ts';

export type Metrics = Omit<Evaluation['dense'], 'latency_ms'>;

/** With the standard errors where they are known. */
export type Measured = Omit<Evaluation['pruned'], 'latency_ms'>;

export const isLabeled = ({ dense }: Evaluation): boolean => dense.loss !== null || dense.accuracy !== null;

/** Beyond it a percentage says less than the loss itself. */
const MAX_SHARE = 100;

/** An amount of loss, relative to the dense model's where that is not next to zero. */
export const lossShare = (amount: number, denseLoss: number): string =>
  amount / denseLoss <= MAX_SHARE ? percent(amount / denseLoss) : number(amount);

/** `1,000 samples`, with the positions where a sample has several. */
export function describeSamples(evaluation: Evaluation): string {
  const { n_samples, n_positions } = evaluation;
  const samples = `${count(n_samples)} sample${n_samples === 1 ? '' : 's'}`;
  const counted = n_positions === n_samples ? samples : `${samples} (${count(n_positions)} positions)`;
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
export function describeCost(dense: Metrics, pruned: Measured): string {
  const parts = [...lossPart(dense, pruned), ...accuracyPart(dense, pruned)];
  return (parts.length > 0 ? parts : driftParts(pruned)).join(' and ');
}

function lossPart(dense: Metrics, pruned: Measured): string[] {
  if (dense.loss === null) return [];
  const from = `loss from ${number(dense.loss)} to`;
  if (pruned.loss === null) return [`${from} a value that is not finite`];
  const increase = pruned.loss - dense.loss;
  const error = pruned.loss_increase_standard_error;
  const details = [`${lossShare(Math.abs(increase), dense.loss)} ${increase < 0 ? 'less' : 'more'}`];
  if (error !== null) details.push(`standard error ${lossShare(error, dense.loss)}`);
  if (dense.perplexity !== null && pruned.perplexity !== null)
    details.push(`perplexity from ${number(dense.perplexity)} to ${number(pruned.perplexity)}`);
  return [`${from} ${number(pruned.loss)} (${details.join(', ')})`];
}

function accuracyPart(dense: Metrics, pruned: Measured): string[] {
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
