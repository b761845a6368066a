/** A decision in one sentence of at most 30 words. */
import { targetOf } from '../recipe/target.ts';
import type { TargetName } from '../recipe/terms.ts';
import { costsOf, isLabeled } from './cost.ts';
import { isDownloadSmaller } from './decision-figures.ts';
import type { Status, UnsafeReason } from './decision-statuses.ts';
import { harmsBeyondPromise } from './harm.ts';
import { describePromised } from './promised-cost.ts';
import type { Evaluation, Undecided } from './report.ts';
import { isFaster, speedsOf } from './speed.ts';
import { accuracy, capitalized, count, counted, number, percent } from './wording.ts';

export function sentenceOf(report: Undecided, status: Status, reasons: readonly UnsafeReason[]): string {
  return capitalized(`${clausesOf(report, status, reasons)}.`);
}

function clausesOf(report: Undecided, status: Status, [reason]: readonly UnsafeReason[]): string {
  const { evaluation } = report;
  const [gain, cost, samples] = [gainsOf(report).join(', '), costOf(evaluation), samplesOf(evaluation)];
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
      return `ship it: ${gainBesideOthers(report)}; ${promisedOf(report)}, ${samples}`;
    case 'estimated':
      return `ship it if an estimate will do: ${gainsOf(report)[0]}; ${promisedOf(report)}; ${describeCount(evaluation)} cannot exclude more`;
    case 'harmed':
      return harmedClauses(evaluation) ?? `do not ship it, clearly worse: ${cost}, ${samples}; ${gain}`;
    case 'not_measured':
      return `measure it before you ship it: ${gain}; what that costs is not known: ${samples}`;
    default:
      return `yours to judge, no limit was set: ${gain}; ${cost}, ${samples}`;
  }
}

/** A promise that is kept says nothing of what else is lost; null where costs themselves say it. */
function harmedClauses(evaluation: Evaluation | null): string | null {
  if (evaluation === null || (evaluation.search === null && isLabeled(evaluation))) return null;
  const lost = harmsBeyondPromise(evaluation).map(({ text }) => text);
  const kept = evaluation.search === null ? '' : ' beyond the promise';
  const rest = evaluation.search === null ? '' : '; the promise is kept';
  return `do not ship it, clearly worse${kept}: ${lost.join(', ')}${rest}, ${samplesOf(evaluation)}`;
}

/** What gets less, the two that say most. */
function gainsOf({ sizes, structures, total, evaluation }: Undecided): string[] {
  if (sizes.pruned_zstd_bytes === null) return [`${percent(total.sparsity)} would go`];
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
  return gains.length > 0 ? gains : [`${percent(total.sparsity)} gone`];
}

/** What is lost beside what was promised takes the place of the second gain. */
function gainBesideOthers(report: Undecided): string {
  return gainsOf(report)
    .slice(0, otherCost(report.evaluation) === null ? 2 : 1)
    .join(', ');
}

/** What is lost, as far as it is more than noise. */
function costOf(evaluation: Evaluation | null): string {
  if (evaluation === null) return 'what it costs is not known';
  if (!isLabeled(evaluation)) {
    const { top1_agreement, relative_l2 } = evaluation.pruned;
    if (top1_agreement !== null) return `${percent(top1_agreement)} of the predictions stay`;
    return relative_l2 === null ? 'outputs are not finite' : `outputs move by ${percent(relative_l2)}`;
  }
  const costs = labelCosts(evaluation);
  const clear = costs.filter(({ isNoise }) => !isNoise).map(({ text }) => text);
  return clear.length > 0
    ? clear.join(', ')
    : `no difference in ${costs.map(({ name }) => name).join(' and ')}`;
}

function labelCosts(evaluation: Evaluation) {
  return costsOf(evaluation).map(({ name: metric, change, isNoise, show }) => {
    const name = metric === 'accuracy' ? metric : 'loss';
    const direction = change > 0 === (metric === 'accuracy') ? 'lower' : 'higher';
    return { name, isNoise, text: `${name} ${show(Math.abs(change))} ${direction}` };
  });
}

/** What else is clearly lost, and at last what was measured of what was promised, beside what was allowed. */
function promisedOf({ evaluation }: Undecided): string {
  const target = evaluation?.search?.target;
  if (!target || !targetOf({ target })) return `${costOf(evaluation)}, as small or fast as asked`;
  const promised = describePromised(target, evaluation);
  const other = otherCost(evaluation);
  return other === null ? promised : `${other}; ${promised}`;
}

/** What stands in the sentence for a target already. */
const BOUNDED: Readonly<Partial<Record<TargetName, string>>> = {
  max_loss_increase: 'loss',
  max_accuracy_drop: 'accuracy',
};

/** Of what a target does not bound, the clear cost that says most: accuracy where it is one. */
function otherCost(evaluation: Evaluation | null): string | null {
  const target = evaluation?.search?.target;
  if (!target || !isLabeled(evaluation)) return null;
  const { name } = targetOf({ target }) ?? {};
  const own = name && BOUNDED[name];
  const others = labelCosts(evaluation).filter((cost) => cost.name !== own && !cost.isNoise);
  return others.at(-1)?.text ?? null;
}

function samplesOf(evaluation: Evaluation | null): string {
  if (evaluation === null) return 'no evaluation data came';
  const { search } = evaluation;
  const samples = describeCount(evaluation);
  if (search === null) return `measured on ${samples}`;
  const { confidence } = search.target;
  return search.met && confidence !== undefined
    ? `shown with ${number(100 * confidence)} % confidence on ${samples}`
    : `estimated on ${samples}`;
}

function describeCount(evaluation: Evaluation | null): string {
  return counted(evaluation?.n_samples ?? 0, { one: 'sample', many: 'samples' });
}

function missedClauses(report: Undecided): string {
  const { evaluation, size_target } = report;
  const [gain, cost, samples] = [gainsOf(report).join(', '), costOf(evaluation), samplesOf(evaluation)];
  if (evaluation?.search && !evaluation.search.met) {
    const { confidence } = evaluation.search.target;
    return confidence === undefined
      ? `do not ship it, the promise is not kept: ${promisedOf(report)}, ${samples}`
      : `do not ship it yet: ${promisedOf(report)}, not shown with ${number(100 * confidence)} % confidence on ${describeCount(evaluation)}`;
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
