import {
  compareSparsity,
  describeCost,
  describeSamples,
  describeTarget,
  isLabeled,
  lossFormat,
  lossName,
  type Measured,
  type Metrics,
} from './cost.ts';
import type { Figures } from './figures.ts';
import type { Evaluation } from './report.ts';
import { describeRatio, isFaster, type Speed, speedsOf } from './speed.ts';
import { count, number, percent, points } from './wording.ts';

const HARMFUL_ACCURACY_DROP = 0.01;
/** Relative to the dense loss. */
const HARMFUL_LOSS_INCREASE = 0.1;
const HARMFUL_AGREEMENT = 0.9;
/** By how much spreading evenly must be better to be called so: relative loss, or share of predictions. */
const HAIR = 0.001;
/** What onnxruntime wants counts of channels to be a multiple of. */
const CHANNELS_PER_BLOCK = 8;
/** A change below this many standard errors may be chance. */
const ERRORS = 2;
/** What an evaluation should resolve without a target: relative loss, or accuracy. */
const RESOLUTION = 0.01;
/** Larger evaluation sets are not proposed. */
const MAX_SAMPLES = 1e9;
/** A limit is not exceeded by a rounding error. */
const ROUNDING = 1 + 1e-9;

const UNKNOWN = { loss_increase_standard_error: null, accuracy_drop_standard_error: null };

export function nonFiniteLoss({ evaluation }: Figures): string[] {
  if (!evaluation || !isLabeled(evaluation) || evaluation.pruned.loss !== null) return [];
  return ['The loss of the pruned model is not finite: it cannot be used as it is.'];
}

/** EMP's own answer is the pruned model itself at beta 1, or a point measured beside it. */
export function beta1Harmful({ evaluation, beta, total }: Figures): string[] {
  if (!evaluation) return [];
  const { dense, pruned, beta_1, search } = evaluation;
  const own = beta === 1 ? { ...pruned, sparsity: total.sparsity } : beta_1 && { ...beta_1, ...UNKNOWN };
  if (!own || !isHarmful(dense, own)) return [];
  const advice = search
    ? ''
    : ' Set target to have the beta searched that stays within it, or a beta above 1.';
  return [
    `EMP's own answer, beta 1, is measured to be harmful: at ${percent(own.sparsity)} sparsity, ${describeCost(evaluation, own)}.${advice}`,
  ];
}

export function prunedHarmful({ evaluation, beta }: Figures): string[] {
  if (!evaluation || beta === 1 || !isHarmful(evaluation.dense, evaluation.pruned)) return [];
  const { search } = evaluation;
  const knob = beta === null ? 'a smaller budget' : 'a larger beta';
  const advice = search ? '' : ` Set ${knob}, or target to have the beta searched that stays within it.`;
  return [`The pruned model is measured to be harmed: ${describeCost(evaluation)}.${advice}`];
}

export function targetNotMet({ evaluation }: Figures): string[] {
  if (!evaluation?.search || evaluation.search.met) return [];
  const { search } = evaluation;
  return [
    `No beta that was tried stays within ${describeTarget(search.target)}; the model is pruned at the nearest, ${number(search.beta)}: ` +
      `${describeCost(evaluation)}. Allow more, or try another criterion or scope.`,
  ];
}

/** The standard error of the difference between the two is not measured; that of the pruned model's to the dense one stands for it. */
export function uniformBetter({ evaluation, total, granularity }: Figures): string[] {
  if (!evaluation?.uniform) return [];
  const { pruned, uniform } = evaluation;
  if (compareSparsity(uniform, total.sparsity) === 'less sparse') return [];
  const better = isLabeled(evaluation) ? betterLoss(evaluation, uniform) : betterAgreement(pruned, uniform);
  if (better === null) return [];
  const scope =
    granularity === 'weight' ? 'scope row where that was asked for and layer otherwise' : 'scope layer';
  return [
    `The same sparsity spread evenly measures better: ${better}. A budget of sparsity ${number(total.sparsity)}, with ${scope}, prunes so.`,
  ];
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
  return `${percent(there)} of the top-1 predictions stay the same against ${percent(here)}`;
}

/** Standard errors shrink with the square root of the number of samples. */
export function evaluationTooSmall({ evaluation }: Figures): string[] {
  if (!evaluation) return [];
  const { n_samples, pruned } = evaluation;
  const errors = [
    pruned.loss === null ? [] : pruned.loss_increase_standard_error,
    pruned.accuracy === null ? [] : pruned.accuracy_drop_standard_error,
  ].flat();
  if (isLabeled(evaluation) && errors.length > 0 && errors.every((error) => error === null))
    return ['A single sample that counts cannot tell what pruning costs: there is no standard error.'];
  const unclear = estimatesOf(evaluation).filter(
    ({ change, error, tolerance }) =>
      ERRORS * error > tolerance * ROUNDING && Math.abs(change) < ERRORS * error,
  );
  if (unclear.length === 0) return [];
  const measured = unclear.map(
    ({ name, change, error, show }) =>
      `the ${name} changed by ${show(Math.abs(change))} with a standard error of ${show(error)}`,
  );
  const needed = Math.max(
    ...unclear.map(({ error, tolerance }) => n_samples * ((ERRORS * error) / tolerance) ** 2),
  );
  const remedy =
    needed <= MAX_SAMPLES
      ? `About ${count(Number(needed.toPrecision(2)))} samples would tell a change of ${unclear.map(({ show, tolerance }) => show(tolerance)).join(' and ')}.`
      : 'No evaluation set can tell so small a change: allow more.';
  return [`${describeSamples(evaluation)} are too few to tell: ${measured.join(' and ')}. ${remedy}`];
}

interface Estimate {
  readonly name: string;
  readonly change: number;
  readonly error: number;
  readonly tolerance: number;
  show(amount: number): string;
}

/** What the target limits, or else all that has a standard error. */
function estimatesOf({ dense, pruned, search, loss_kind }: Evaluation): Estimate[] {
  const { max_loss_increase, max_accuracy_drop } = search?.target ?? {
    max_loss_increase: RESOLUTION,
    max_accuracy_drop: RESOLUTION,
  };
  const { loss_increase_standard_error, accuracy_drop_standard_error } = pruned;
  const estimates: Estimate[] = [];
  if (
    max_loss_increase !== undefined &&
    loss_increase_standard_error !== null &&
    dense.loss !== null &&
    pruned.loss !== null
  ) {
    const change = pruned.loss - dense.loss;
    estimates.push({
      name: lossName({ loss_kind }),
      change,
      error: loss_increase_standard_error,
      tolerance: max_loss_increase * dense.loss,
      show: lossFormat(Math.max(Math.abs(change), loss_increase_standard_error), dense.loss),
    });
  }
  if (
    max_accuracy_drop !== undefined &&
    accuracy_drop_standard_error !== null &&
    dense.accuracy !== null &&
    pruned.accuracy !== null
  ) {
    estimates.push({
      name: 'accuracy',
      change: dense.accuracy - pruned.accuracy,
      error: accuracy_drop_standard_error,
      tolerance: max_accuracy_drop,
      show: points,
    });
  }
  return estimates;
}

export function notEvaluated({ evaluation }: Figures): string[] {
  if (evaluation) return [];
  return ['Preserved mass is not accuracy: measure the pruned model on your own data before you rely on it.'];
}

/** Only where there are more zeros than before, in a file that was written. */
export function noSpeedup({ total, sizes, evaluation, granularity }: Figures): string[] {
  if (granularity !== 'weight' || total.n_keep === total.n || sizes.pruned_bytes === null) return [];
  const measured = speedsOf(evaluation).map((speed) => ` Measured in one run: ${describeBoth(speed)}.`);
  return [
    `Expect no speed: onnxruntime multiplies zeros in place like any other number.${measured.join('')}`,
  ];
}

/** By onnxruntime's default level, at which a model runs where nobody says otherwise. */
export function notFaster({ total, evaluation, granularity, structures }: Figures): string[] {
  const [byDefault, extended] = speedsOf(evaluation);
  if (granularity === 'weight' || total.n_keep === total.n || !byDefault || isFaster(byDefault)) return [];
  const sentences = [`The smaller model is measured to be no faster: ${describeBoth(byDefault)}.`];
  if (extended) sentences.push(extendedSentence(byDefault, extended));
  const families = structures?.families ?? [];
  if (granularity === 'channel' && families.some(({ n_keep }) => n_keep % CHANNELS_PER_BLOCK !== 0))
    sentences.push(
      `Counts of channels in multiples of ${CHANNELS_PER_BLOCK} (round_to) suit onnxruntime better.`,
    );
  return [sentences.join(' ')];
}

function extendedSentence(byDefault: Speed, extended: Speed): string {
  const level = "At onnxruntime's optimization level extended";
  if (!isFaster(extended)) return `${level} neither: ${describeBoth(extended)}.`;
  const advice = extended.pruned < byDefault.dense ? '; open it with graphOptimizationLevel extended' : '';
  return `${level} it is ${describeRatio(extended)}, ${describeBoth(extended)}${advice}.`;
}

const describeBoth = ({ dense, pruned }: Speed): string =>
  `${number(dense)} ms a batch dense, ${number(pruned)} ms pruned`;

function isHarmful(dense: Metrics, measured: Measured): boolean {
  if (dense.loss === null && dense.accuracy === null)
    return measured.top1_agreement !== null && measured.top1_agreement < HARMFUL_AGREEMENT;
  return isLossHarmed(dense, measured) || isAccuracyHarmed(dense, measured);
}

function isLossHarmed(dense: Metrics, measured: Measured): boolean {
  if (dense.loss === null) return false;
  if (measured.loss === null) return true;
  const limit = HARMFUL_LOSS_INCREASE * dense.loss;
  return exceeds(measured.loss - dense.loss, limit, measured.loss_increase_standard_error);
}

function isAccuracyHarmed(dense: Metrics, measured: Measured): boolean {
  if (dense.accuracy === null || measured.accuracy === null) return false;
  const drop = dense.accuracy - measured.accuracy;
  return exceeds(drop, HARMFUL_ACCURACY_DROP, measured.accuracy_drop_standard_error);
}

/** Above the limit, and not by chance where the standard error is known. */
function exceeds(value: number, limit: number, standardError: number | null): boolean {
  return value > limit * ROUNDING && (standardError === null || value > ERRORS * standardError);
}
