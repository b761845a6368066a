/** What pruning cost, as it was measured, in words. */
import { targetOf } from '../recipe/target.ts';
import { LOSSES, needsLabels, type TargetName } from '../recipe/terms.ts';
import type { Evaluation, Report } from './report.ts';
import { accuracy, cosine, count, counted, isNoise, number, percent, pointLimit, points } from './wording.ts';

type Latencies = 'latency_ms' | 'latency_extended_ms';
type Search = NonNullable<Evaluation['search']>;
type Target = Search['target'];

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

export function lossName({ loss_kind }: Pick<Evaluation, 'loss_kind'>): string {
  return LOSSES[loss_kind ?? 'cross_entropy'];
}

/** ` (3,000 positions)` where a sample has several labels, or ones that do not count. */
export function describePositions({ n_samples, n_positions, loss_kind }: Evaluation): string {
  if (n_positions === n_samples) return '';
  const isClasses = loss_kind === null || loss_kind === 'cross_entropy';
  return ` (${count(n_positions)} ${isClasses ? 'positions' : 'numbers'})`;
}

/** `1,000 samples`, with the positions where a sample has several. */
export function describeSamples(evaluation: Evaluation): string {
  const samples = counted(evaluation.n_samples, { one: 'sample', many: 'samples' });
  return `${samples}${describePositions(evaluation)}${isLabeled(evaluation) ? '' : ' without labels'}`;
}

/** `a loss increase of 1 %`, `an accuracy drop of 0.5 points`. */
export function describeTarget(target: Target): string {
  const asked = targetOf({ target });
  if (asked === null) return 'no target';
  const { confidence } = target;
  const words = TARGET_WORDS[asked.name](asked.limit);
  return confidence === undefined ? words : `${words} with confidence ${number(100 * confidence)} %`;
}

/** What the samples that no choice saw say of a target that is met. */
export function describePromise({ target, promise }: Search): string {
  const asked = targetOf({ target });
  const { certified, p_value, counted_up_to } = promise;
  if (asked === null || certified === null) {
    return p_value < 1
      ? `an estimate: were the true cost just above the limit, samples would look as good as these with a chance of at most ${percent(p_value)}`
      : 'that is an estimate, which these samples do not show';
  }
  const isCut = !UNCUT.has(asked.name);
  const cut =
    isCut && counted_up_to !== null ? ` (of no sample is more than ${number(counted_up_to)} counted)` : '';
  return `shown with confidence ${number(100 * (target.confidence ?? 0))} %: ${TARGET_WORDS[asked.name](certified)} at most${cut}${describeUses(target, promise)}`;
}

/** Of these no sample can cost more than its positions, or the distance of opposite directions. */
const UNCUT: ReadonlySet<TargetName> = new Set([
  'max_accuracy_drop',
  'max_disagreement',
  'max_cosine_distance',
]);

const TARGET_WORDS: Readonly<Record<TargetName, (limit: number) => string>> = {
  max_loss_increase: (limit) => `a loss increase of ${number(100 * limit)} %`,
  max_accuracy_drop: (limit) => `an accuracy drop of ${pointLimit(limit)}`,
  max_disagreement: (limit) => `a change of ${number(100 * limit)} % of the predictions`,
  max_kl: (limit) => `a KL divergence of ${number(limit)} nats`,
  max_relative_l2: (limit) => `a relative L2 drift of ${number(100 * limit)} %`,
  max_cosine_distance: (limit) => `a cosine distance of ${number(limit)}`,
};

/** Errors of several promises add up. */
function describeUses({ confidence = 0 }: Target, { uses }: Search['promise']): string {
  if (uses === null || uses < 2) return '';
  const together = 1 - uses * (1 - confidence);
  const all =
    together > 0
      ? `all hold together with confidence ${number(100 * together)} %`
      : 'nothing is known of all together';
  return `, the ${count(uses)}. promise on these samples, of which ${all}`;
}

/** How many betas a search has tried. */
export const betasTried = ({ evaluations }: Search): number =>
  new Set(evaluations.map(({ beta }) => beta)).size;

/** By how much a model is worse than the dense one in loss or accuracy. */
export interface Cost {
  readonly name: string;
  /** Infinite where the loss is not finite. */
  readonly change: number;
  readonly standardError: number | null;
  /** Whether it may be chance. */
  readonly isNoise: boolean;
  /** What a target allows; undefined where it says nothing of this. */
  allowedBy(target: Target): number | undefined;
  /** Amounts of it, all shown alike. */
  show(amount: number): string;
  /** From what to what it goes. */
  readonly text: string;
}

/** Of what has labels; none without. */
export function costsOf(evaluation: Evaluation, pruned: Measured = evaluation.pruned): Cost[] {
  return [...lossCost(evaluation, pruned), ...accuracyCost(evaluation, pruned)];
}

function lossCost({ dense, loss_kind }: Evaluation, pruned: Measured): Cost[] {
  if (dense.loss === null) return [];
  const denseLoss = dense.loss;
  const change = pruned.loss === null ? Number.POSITIVE_INFINITY : pruned.loss - denseLoss;
  const standardError = pruned.loss_increase_standard_error;
  const show = lossFormat(Math.max(Math.abs(change), standardError ?? 0), denseLoss);
  const name = lossName({ loss_kind });
  const details = [...changeDetails(change, standardError, show, ['less', 'more'])];
  if (dense.perplexity !== null && pruned.perplexity !== null)
    details.push(`perplexity from ${number(dense.perplexity)} to ${number(pruned.perplexity)}`);
  const to =
    pruned.loss === null ? 'a value that is not finite' : `${number(pruned.loss)} (${details.join(', ')})`;
  return [
    {
      name,
      change,
      standardError,
      isNoise: isNoise(change, standardError, denseLoss),
      allowedBy: ({ max_loss_increase: share }) => (share === undefined ? share : share * denseLoss),
      show,
      text: `${name} from ${number(denseLoss)} to ${to}`,
    },
  ];
}

/** Beyond it a percentage says less than the loss itself. */
const MAX_SHARE = 100;

/** All relative to the dense model's, or none where the largest is many times that. */
function lossFormat(largest: number, denseLoss: number): (amount: number) => string {
  return largest / denseLoss <= MAX_SHARE ? (amount) => percent(amount / denseLoss) : number;
}

function accuracyCost({ dense }: Evaluation, pruned: Measured): Cost[] {
  if (dense.accuracy === null || pruned.accuracy === null) return [];
  const change = dense.accuracy - pruned.accuracy;
  const standardError = pruned.accuracy_drop_standard_error;
  const details = changeDetails(change, standardError, points, ['higher', 'lower']);
  return [
    {
      name: 'accuracy',
      change,
      standardError,
      isNoise: isNoise(change, standardError),
      allowedBy: ({ max_accuracy_drop }) => max_accuracy_drop,
      show: points,
      text: `accuracy from ${accuracy(dense.accuracy)} to ${accuracy(pruned.accuracy)} (${details.join(', ')})`,
    },
  ];
}

function changeDetails(
  change: number,
  standardError: number | null,
  show: Cost['show'],
  [better, worse]: readonly [string, string],
): string[] {
  const amount = `${show(Math.abs(change))} ${change < 0 ? better : worse}`;
  return standardError === null ? [amount] : [amount, `standard error ${show(standardError)}`];
}

/** From what to what the figures of the dense model go. */
export function describeCost(evaluation: Evaluation, pruned: Measured = evaluation.pruned): string {
  const costs = costsOf(evaluation, pruned).map(({ text }) => text);
  const nOutputs = evaluation.outputs?.length ?? 1;
  const parts = evaluation.metric_names.includes('relative_l2') ? driftParts(pruned, nOutputs) : [];
  const all = [...costs, ...parts];
  return [all.slice(0, -1).join(', '), ...all.slice(-1)].filter((part) => part !== '').join(' and ');
}

function driftParts(measured: Metrics, nOutputs: number): string[] {
  const { relative_l2, cosine: alike, top1_agreement, kl, cosine_distance } = measured;
  const parts: string[] = [];
  if (relative_l2 !== null) {
    const direction = alike === null ? '' : `, cosine ${cosine(alike)}`;
    parts.push(
      `the outputs move by ${percent(relative_l2)} (relative L2${direction}${nOutputs > 1 ? `; of ${count(nOutputs)} outputs the worst` : ''})`,
    );
  }
  if (kl !== null) parts.push(`the KL divergence is ${number(kl)} nats`);
  if (cosine_distance !== null) parts.push(`the cosine distance is ${number(cosine_distance)}`);
  if (top1_agreement !== null) parts.push(`${percent(top1_agreement)} of the predictions stay the same`);
  return parts.length > 0 ? parts : ['how far the outputs move has no finite figure'];
}

/** Whether a repair was kept or not by the drift: without labels, with calibration data that have none, and for a target that needs none. */
export function isJudgedByDrift(step: Report['repair'][number], { dense, search }: Evaluation): boolean {
  const asked = search && targetOf(search);
  if (dense.loss === null || (asked && !needsLabels(asked.name))) return true;
  return step.loss_before === null && step.relative_l2_before !== null;
}

/** ` (loss from 0.6 to 0.55)`, or the drift: what a repair brought; empty where that was not measured. */
export function describeRepair(step: Report['repair'][number], evaluation: Evaluation | null): string {
  const { loss_before, loss_after, relative_l2_before, relative_l2_after, n_repaired } = step;
  if (evaluation === null || n_repaired === 0) return '';
  const [name, show, before, after] = isJudgedByDrift(step, evaluation)
    ? (['drift', percent, relative_l2_before, relative_l2_after] as const)
    : ([lossName(evaluation), number, loss_before, loss_after] as const);
  const [from, to] = [before, after].map((value) => (value === null ? 'not finite' : show(value)));
  return ` (${name} from ${from} to ${to})`;
}
