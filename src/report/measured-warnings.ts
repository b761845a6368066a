import { CHANNEL_BLOCK } from '../recipe/terms.ts';
import {
  compareSparsity,
  costsOf,
  describeCost,
  describeRepair,
  describeSamples,
  describeTarget,
  isLabeled,
  lossName,
  type Metrics,
} from './cost.ts';
import { exceeds, isHarmful, ROUNDING } from './harm.ts';
import type { Evaluation } from './report.ts';
import { MAX_SAMPLES, roundedUp, samplesGiven, samplesNeeded } from './samples-needed.ts';
import { describeMissedSize } from './size-words.ts';
import { isSmaller } from './smaller.ts';
import { describeRatio, differsInSpeed, isFaster, type Speed, speedsOf } from './speed.ts';
import { describeMissedSpeed } from './speed-words.ts';
import type { WarningTexts } from './verdict-facts.ts';
import type { WarningCode } from './warning-codes.ts';
import { count, ERRORS, number, percent } from './wording.ts';

/** What an evaluation should resolve without a target. */
const RESOLUTION = { max_loss_increase: 0.01, max_accuracy_drop: 0.01 };
/** By how much spreading evenly must be better to be called so: relative loss, or share of predictions. */
const HAIR = 0.001;
/** The least R2 against the dense model that nobody is warned of. */
const EXPLAINED = 0.5;

/** Of what running the models has shown, or would have. */
export const MEASURED_WARNINGS = {
  doubtful_data: ({ doubts }) => doubts,

  non_finite_loss({ evaluation }) {
    if (!evaluation || !isLabeled(evaluation) || evaluation.pruned.loss !== null) return null;
    return 'The loss of the pruned model is not finite: it cannot be used as it is.';
  },

  /** EMP's own answer is the pruned model itself at beta 1, or a point measured beside it. */
  beta_1_harmful({ evaluation, beta, total }) {
    if (!evaluation) return null;
    const { pruned, beta_1, search } = evaluation;
    const own = beta === 1 ? { ...pruned, sparsity: total.sparsity } : beta_1;
    if (!own || !isHarmful(evaluation, own)) return null;
    const advice = search
      ? ''
      : ' Set target to have the beta searched that stays within it, or a beta above 1.';
    return `EMP's own answer, beta 1, is measured to be harmful: at ${percent(own.sparsity)} sparsity, ${describeCost(evaluation, own)}.${advice}`;
  },

  harmful({ evaluation, beta }) {
    if (!evaluation || beta === 1 || !isHarmful(evaluation, evaluation.pruned)) return null;
    const knob = beta === null ? 'a smaller budget' : 'a larger beta';
    const advice = evaluation.search
      ? ''
      : ` Set ${knob}, or target to have the beta searched that stays within it.`;
    return `The pruned model is measured to be harmed: ${describeCost(evaluation)}.${advice}`;
  },

  target_not_met({ evaluation, size_target }) {
    const speed = evaluation?.speed_target ?? null;
    const missed = [
      missedQuality(evaluation),
      size_target && describeMissedSize(size_target),
      speed && describeMissedSpeed(speed),
    ];
    return missed.filter((text) => text !== null);
  },

  variance_lost({ evaluation }) {
    if (!evaluation?.variance) return null;
    const { kept, explained } = evaluation.variance;
    const isExplained = explained === null || explained >= EXPLAINED;
    if (kept === null || (!evaluation.one_answer && isExplained)) return null;
    const r2 = explained === null ? '' : ` They explain ${percent(Math.max(0, explained))} of it (R2).`;
    return `Over the samples the outputs of the pruned model have ${percent(kept)} of the variance of the dense model's.${r2} Relative L2 hides that beside a large mean: remove less.`;
  },

  /** The standard error of the difference between the two is not measured; that of the pruned model's to the dense one stands for it. */
  uniform_better({ evaluation, total, granularity }) {
    if (!evaluation?.uniform) return null;
    const { pruned, uniform } = evaluation;
    if (compareSparsity(uniform, total.sparsity) === 'less sparse') return null;
    const better = isLabeled(evaluation) ? betterLoss(evaluation, uniform) : betterAgreement(pruned, uniform);
    if (better === null) return null;
    const scope =
      granularity === 'weight' ? 'scope row where that was asked for and layer otherwise' : 'scope layer';
    return `The same sparsity spread evenly measures better: ${better}. A budget of sparsity ${number(total.sparsity)}, with ${scope}, prunes so.`;
  },

  /** Standard errors shrink with the square root of the number of samples. */
  evaluation_too_small({ evaluation }) {
    if (!evaluation) return null;
    const { n_samples, pruned, search } = evaluation;
    const errors = [
      pruned.loss === null ? [] : pruned.loss_increase_standard_error,
      pruned.accuracy === null ? [] : pruned.accuracy_drop_standard_error,
    ].flat();
    if (isLabeled(evaluation) && errors.length > 0 && errors.every((error) => error === null))
      return 'A single sample that counts cannot tell what pruning costs: there is no standard error.';
    const unclear = costsOf(evaluation).flatMap(({ standardError: error, allowedBy, ...cost }) => {
      const tolerance = allowedBy(search?.target ?? RESOLUTION);
      if (error === null || tolerance === undefined) return [];
      const isUnclear =
        ERRORS * error > tolerance * ROUNDING && cost.isNoise && Math.abs(cost.change) < ERRORS * error;
      return isUnclear ? { ...cost, error, tolerance } : [];
    });
    if (unclear.length === 0) return null;
    const measured = unclear.map(
      ({ name, change, error, show }) =>
        `the ${name} changed by ${show(Math.abs(change))} with a standard error of ${show(error)}`,
    );
    const told = Math.max(
      ...unclear.map(({ error, tolerance }) => n_samples * ((ERRORS * error) / tolerance) ** 2),
    );
    const changes = unclear.map(({ show, tolerance }) => show(tolerance)).join(' and ');
    const needed = samplesToTell(evaluation, told);
    const remedy =
      needed <= MAX_SAMPLES
        ? `About ${count(needed)} ${search ? 'evaluation samples in all' : 'samples'} would tell a change of ${changes}.`
        : 'No evaluation set can tell so small a change: allow more.';
    return `${describeSamples(evaluation)} are too few to tell: ${measured.join(' and ')}. ${remedy}`;
  },

  repair_not_kept: ({ repair, evaluation }) =>
    repair
      .filter(({ kept }) => !kept)
      .map(
        (step) =>
          `The model is without the repair ${step.name}: ${step.problem}${describeRepair(step, evaluation)}.`,
      ),

  not_evaluated: ({ evaluation }) =>
    evaluation
      ? null
      : 'Preserved mass is not accuracy: measure the pruned model on your own data before you rely on it.',

  not_smaller({ total, sizes, granularity }) {
    if (granularity === 'weight' || total.n_keep === total.n || isSmaller(sizes)) return null;
    return `The pruned model is no smaller: it takes ${count(sizes.pruned_bytes ?? 0)} bytes, the dense one ${count(sizes.dense_bytes)}. Remove more, or keep the dense model.`;
  },

  /** Only where there are more zeros than before, in a file that was written. */
  no_speedup({ total, sizes, evaluation, granularity }) {
    if (granularity !== 'weight' || total.n_keep === total.n || sizes.pruned_bytes === null) return null;
    const measured = speedsOf(evaluation).map((speed) => ` Measured in one run: ${describeBoth(speed)}.`);
    return `Expect no speed: onnxruntime multiplies zeros in place like any other number.${measured.join('')}`;
  },

  /** By onnxruntime's default level, at which a model runs where nobody says otherwise. */
  not_faster({ total, evaluation, granularity, uneven }) {
    const [byDefault, extended] = speedsOf(evaluation);
    if (granularity === 'weight' || total.n_keep === total.n || !byDefault || isFaster(byDefault))
      return null;
    const sentences = [`The smaller model is measured to be no faster: ${describeBoth(byDefault)}.`];
    if (extended) sentences.push(extendedSentence(byDefault, extended));
    if (granularity === 'channel' && uneven.length > 0)
      sentences.push(
        `Counts of channels in multiples of ${CHANNEL_BLOCK} (round_to) suit onnxruntime better.`,
      );
    return sentences.join(' ');
  },
} as const satisfies Partial<Record<WarningCode, WarningTexts>>;

function missedQuality(evaluation: Evaluation | null): string | null {
  if (!evaluation?.search || evaluation.search.met) return null;
  const { target, beta, found, given: isGiven } = evaluation.search;
  const cost = describeCost(evaluation);
  const within = describeTarget(target);
  if (target.confidence !== undefined)
    return `${describeSamples(evaluation)} that no choice saw do not show that any beta stays within ${within}; the model is pruned at the mildest that was tested, ${number(beta)}: ${cost}. Give more samples${samplesToShow(evaluation)}, allow more, or try another criterion or scope.`;
  if (found)
    return `Beta ${number(beta)} stays within ${within} on the samples that it was searched on, and not on the others: ${cost}. Give more samples, allow more, or take a larger beta.`;
  if (isGiven)
    return `Beta ${number(beta)} does not stay within ${within}: ${cost}. Allow more, or take a larger beta.`;
  return `No beta that was tried stays within ${within}; the model is pruned at the nearest, ${number(beta)}: ${cost}. Allow more, or try another criterion or scope.`;
}

/** Of a promise as many as next steps ask for: where they would show it, a change of the limit is told too. */
function samplesToTell(evaluation: Evaluation, told: number): number {
  const needed = samplesNeeded(evaluation);
  if (needed === null) return Number(told.toPrecision(2));
  const sets = evaluation.search?.seed === null ? 1 : 2;
  return needed.likely ?? Math.max(needed.atLeast ?? 0, roundedUp(sets * told));
}

/** ` (about 3,000 evaluation samples would show it ...)`; empty where the figures are beyond the limit, or cannot tell. */
function samplesToShow(evaluation: Evaluation): string {
  const { likely } = samplesNeeded(evaluation) ?? { likely: null };
  if (likely === null || likely <= samplesGiven(evaluation)) return '';
  return ` (about ${count(likely)} evaluation samples in all would show it, were the cost as measured)`;
}

function betterLoss({ pruned, loss_kind }: Evaluation, uniform: Metrics): string | null {
  if (uniform.loss === null) return null;
  const better = `a ${lossName({ loss_kind })} of ${number(uniform.loss)} against`;
  if (pruned.loss === null) return `${better} one that is not finite`;
  if (!exceeds(pruned.loss - uniform.loss, HAIR * pruned.loss, pruned.loss_increase_standard_error))
    return null;
  return `${better} ${number(pruned.loss)}`;
}

function betterAgreement(pruned: Metrics, uniform: Metrics): string | null {
  const [here, there] = [pruned.top1_agreement, uniform.top1_agreement];
  if (here === null || there === null || !exceeds(there - here, HAIR, null)) return null;
  return `${percent(there)} of the predictions stay the same against ${percent(here)}`;
}

function extendedSentence(byDefault: Speed, extended: Speed): string {
  const level = "At onnxruntime's optimization level extended";
  if (!isFaster(extended)) return `${level} neither: ${describeBoth(extended)}.`;
  const advice = extended.pruned < byDefault.dense ? '; open it with graphOptimizationLevel extended' : '';
  return `${level} it is ${describeRatio(extended)}, ${describeBoth(extended)}${advice}.`;
}

/** Within its noise it is no difference, whatever the two medians are. */
const describeBoth = (speed: Speed): string =>
  `${number(speed.dense)} ms a batch dense, ${number(speed.pruned)} ms pruned${differsInSpeed(speed) ? '' : `, ${describeRatio(speed)}`}`;
