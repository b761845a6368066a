/** A decision in one sentence of at most 30 words. */
import { targetOf } from '../recipe/target.ts';
import type { TargetName } from '../recipe/terms.ts';
import { costsOf, isLabeled } from './cost.ts';
import { isDownloadSmaller } from './decision-figures.ts';
import type { Status, UnsafeReason } from './decision-statuses.ts';
import type { Evaluation, Undecided } from './report.ts';
import { isFaster, speedsOf } from './speed.ts';
import { accuracy, capitalized, count, ERRORS, number, percent, pointLimit } from './wording.ts';

export function sentenceOf(report: Undecided, status: Status, reasons: readonly UnsafeReason[]): string {
  return capitalized(`${clausesOf(report, status, reasons)}.`);
}

function clausesOf(report: Undecided, status: Status, [reason]: readonly UnsafeReason[]): string {
  const { evaluation } = report;
  const [gain, cost, samples] = [gainOf(report), costOf(evaluation), samplesOf(evaluation)];
  switch (status) {
    case 'unsafe':
      return unsafeClauses(report, reason);
    case 'not_met':
      return missedClauses(report);
    case 'nothing_gained':
      return evaluation === null
        ? `keep the dense model: nothing gets smaller; what this one costs is not known: ${samples}`
        : `keep the dense model: nothing gets smaller or faster; ${cost}, ${samples}`;
    case 'within':
      return `ship it: ${gain}; ${promisedOf(report)}, ${samples}`;
    case 'harmed':
      return `do not ship it, clearly worse: ${cost}, ${samples}; ${gain}`;
    case 'not_measured':
      return `measure it before you ship it: ${gain}; what that costs is not known: ${samples}`;
    default:
      return `yours to judge, no limit was set: ${gain}; ${cost}, ${samples}`;
  }
}

/** What gets less, the two that say most. */
function gainOf({ sizes, structures, total, evaluation }: Undecided): string {
  if (sizes.pruned_zstd_bytes === null) return `${percent(total.sparsity)} would go`;
  const [speed] = speedsOf(evaluation);
  const gains = [
    structures !== null &&
    structures.parameters.pruned !== null &&
    structures.parameters.pruned < structures.parameters.dense
      ? `${percent(1 - structures.parameters.pruned / structures.parameters.dense)} fewer parameters`
      : null,
    structures === null && isDownloadSmaller(sizes)
      ? `${(sizes.dense_zstd_bytes / sizes.pruned_zstd_bytes).toFixed(2)} × smaller compressed`
      : null,
    speed && isFaster(speed) ? `${speed.speedup.toFixed(2)} × as fast` : null,
  ].filter((gain) => gain !== null);
  return gains.length > 0 ? gains.join(', ') : `${percent(total.sparsity)} gone`;
}

/** What is lost, as far as it is more than noise. */
function costOf(evaluation: Evaluation | null): string {
  if (evaluation === null) return 'what it costs is not known';
  if (!isLabeled(evaluation)) {
    const { top1_agreement, relative_l2 } = evaluation.pruned;
    if (top1_agreement !== null) return DRIFTS.top1_agreement(top1_agreement);
    return relative_l2 === null ? 'outputs are not finite' : DRIFTS.relative_l2(relative_l2);
  }
  const costs = labelCosts(evaluation);
  const clear = costs.filter(({ isNoise }) => !isNoise).map(({ text }) => text);
  return clear.length > 0
    ? clear.join(', ')
    : `no difference in ${costs.map(({ name }) => name).join(' and ')}`;
}

function labelCosts(evaluation: Evaluation) {
  return costsOf(evaluation).map(({ name: metric, change, standardError, show }) => {
    const name = metric === 'accuracy' ? metric : 'loss';
    const isNoise = change === 0 || (standardError !== null && Math.abs(change) < ERRORS * standardError);
    const direction = change > 0 === (metric === 'accuracy') ? 'lower' : 'higher';
    const text = isNoise ? `no difference in ${name}` : `${name} ${show(Math.abs(change))} ${direction}`;
    return { name, isNoise, text };
  });
}

/** What is clearly lost, and at last what is lost of what was promised, beside what was allowed. */
function promisedOf({ evaluation }: Undecided): string {
  const asked = evaluation?.search ? targetOf(evaluation.search) : null;
  if (asked === null || evaluation === null) return `${costOf(evaluation)}, as small or fast as asked`;
  const costs = isLabeled(evaluation) ? labelCosts(evaluation) : [];
  const own = BOUNDED[asked.name];
  const promised =
    own === 'loss' || own === 'accuracy'
      ? costs.find(({ name }) => name === own)?.text
      : drifted(own, evaluation.pruned[own]);
  const allowed = `${ALLOWED[asked.name](asked.limit)} allowed`;
  if (promised === undefined) return `what it costs is not known, ${allowed}`;
  const others = costs.filter(({ name, isNoise }) => name !== own && !isNoise).map(({ text }) => text);
  return [...others, `${promised}, ${allowed}`].join('; ');
}

function samplesOf(evaluation: Evaluation | null): string {
  if (evaluation === null) return 'no evaluation data came';
  const { n_samples, search } = evaluation;
  const samples = n_samples === 1 ? '1 sample' : `${count(n_samples)} samples`;
  if (search === null) return `measured on ${samples}`;
  const { confidence } = search.target;
  return search.met && confidence !== undefined
    ? `shown with ${number(100 * confidence)} % confidence on ${samples}`
    : `estimated on ${samples}`;
}

/** What a target bounds. */
const BOUNDED = {
  max_loss_increase: 'loss',
  max_accuracy_drop: 'accuracy',
  max_disagreement: 'top1_agreement',
  max_kl: 'kl',
  max_relative_l2: 'relative_l2',
  max_cosine_distance: 'cosine_distance',
} as const satisfies Readonly<Record<TargetName, string>>;

/** How far outputs are from the dense model's. */
const DRIFTS = {
  top1_agreement: (share: number) => `${percent(share)} of the predictions stay`,
  kl: (nats: number) => `KL divergence ${number(nats)}`,
  relative_l2: (share: number) => `outputs move by ${percent(share)}`,
  cosine_distance: (distance: number) => `cosine distance ${number(distance)}`,
};

function drifted(name: keyof typeof DRIFTS, value: number | null): string | undefined {
  return value === null ? undefined : DRIFTS[name](value);
}

const ALLOWED: Readonly<Record<TargetName, (limit: number) => string>> = {
  max_loss_increase: (limit) => `${number(100 * limit)} %`,
  max_accuracy_drop: pointLimit,
  max_disagreement: (limit) => `${number(100 * limit)} % changed`,
  max_kl: (limit) => `${number(limit)} nats`,
  max_relative_l2: (limit) => `${number(100 * limit)} % drift`,
  max_cosine_distance: (limit) => `${number(limit)} cosine distance`,
};

function missedClauses(report: Undecided): string {
  const { evaluation, size_target } = report;
  const [gain, cost, samples] = [gainOf(report), costOf(evaluation), samplesOf(evaluation)];
  if (evaluation?.search && !evaluation.search.met) {
    const { confidence } = evaluation.search.target;
    return confidence === undefined
      ? `do not ship it, the promise is not kept: ${promisedOf(report)}, ${samples}`
      : `do not ship it yet: ${promisedOf(report)}, not shown with ${number(100 * confidence)} % confidence on ${count(evaluation.n_samples)} samples`;
  }
  const missed =
    size_target?.met === false
      ? 'do not ship it, it is larger than asked'
      : 'do not ship it, it is slower than asked';
  return evaluation === null
    ? `${missed}; ${gain}; what that costs is not known: ${samples}`
    : `${missed}; ${gain}; ${cost}, ${samples}`;
}

function unsafeClauses({ evaluation, total }: Undecided, reason: UnsafeReason): string {
  const gone = `${percent(total.sparsity)} is gone`;
  const samples = count(evaluation?.n_samples ?? 0);
  switch (reason) {
    case 'not_finite':
      return `do not use it: its outputs are not finite on ${samples} samples; ${gone}`;
    case 'doubtful_data':
      return 'do not trust these figures: the data, or what onnxruntime makes of the model, are doubtful';
    case 'dense_guesses':
      return `the figures mean nothing: the dense model itself only guesses${guessOf(evaluation?.dense.accuracy ?? null, evaluation)}; labels or inputs do not fit`;
    case 'one_answer':
      return `the model is dead: it predicts the same for all ${samples} samples; ${gone}`;
    case 'guesses':
      return `the model is dead: it only guesses${guessOf(evaluation?.pruned.accuracy ?? null, evaluation)}; ${gone}`;
    case 'far_off':
      return `the model is lost: its outputs are as far from the dense ones as zeros; ${gone}`;
    case 'layer_emptied':
      return `do not ship it: a layer is emptied, so nothing passes through it; ${gone}; ${costOf(evaluation)}`;
  }
}

function guessOf(measured: number | null, evaluation: Evaluation | null): string {
  const guessed = evaluation?.guess?.accuracy ?? null;
  if (measured === null || guessed === null) return '';
  return ` (accuracy ${accuracy(measured)}, of one answer for all ${accuracy(guessed)})`;
}
