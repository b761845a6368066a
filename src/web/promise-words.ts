import type { TargetName } from '../recipe/terms.ts';
import { describeMetricLimit, type MetricLimit } from '../report/search-outcomes.ts';
import { ERRORS, formatAccuracy, formatPercent, isNoise, number } from '../report/wording.ts';
import type { Candidate, Recipe, Search } from './api-types.ts';

interface MetricWords {
  /** As one chooses it. */
  readonly title: string;
  readonly hint: string;
  readonly needsLabels: boolean;
  /** What stands behind the amount that is typed. */
  readonly unit: string;
  /** An amount of this unit as the API takes it. */
  readonly scale: number;
  readonly preset: number;
  /** `accuracy falls by at most 1 point` */
  readonly sentence: (limit: number) => string;
  /** On the chart's axis. */
  readonly axis: string;
  /** A cost in its unit. */
  readonly format: (cost: number) => string;
}

const short = (value: number) => number(Number(value.toPrecision(3)));
const sharePercent = (limit: number) => `${short(100 * limit)} %`;
const points = (share: number) => `${short(100 * share)} ${share === 0.01 ? 'point' : 'points'}`;
const signed = (text: string, cost: number) => (cost > 0 ? `+${text}` : text);

/** What may be promised, in words. */
export const PROMISES: Readonly<Record<TargetName, MetricWords>> = {
  max_accuracy_drop: {
    title: 'Accuracy falls',
    hint: 'Share of right answers on the labelled test data.',
    needsLabels: true,
    unit: 'points',
    scale: 0.01,
    preset: 1,
    sentence: (limit) => `accuracy falls by at most ${points(limit)}`,
    axis: 'accuracy lost, points',
    format: points,
  },
  max_loss_increase: {
    title: 'Loss rises',
    hint: 'Of the loss on the labelled test data, relative to the original.',
    needsLabels: true,
    unit: '%',
    scale: 0.01,
    preset: 2,
    sentence: (limit) => `loss rises by at most ${sharePercent(limit)}`,
    axis: 'loss increase, %',
    format: (cost) => signed(sharePercent(cost), cost),
  },
  max_disagreement: {
    title: 'Answers change',
    hint: 'Share of answers that differ from the original. Needs no labels.',
    needsLabels: false,
    unit: '%',
    scale: 0.01,
    preset: 2,
    sentence: (limit) => `at most ${sharePercent(limit)} of the answers change`,
    axis: 'answers that change, %',
    format: (cost) => formatPercent(cost),
  },
  max_relative_l2: {
    title: 'Outputs move',
    hint: 'Distance from the outputs of the original. Needs no labels.',
    needsLabels: false,
    unit: '%',
    scale: 0.01,
    preset: 5,
    sentence: (limit) => `outputs move by at most ${sharePercent(limit)}`,
    axis: 'outputs moved, %',
    format: (cost) => formatPercent(cost),
  },
  max_cosine_distance: {
    title: 'Embeddings turn',
    hint: 'Mean of 1 - cosine to the vectors of the original. Needs no labels.',
    needsLabels: false,
    unit: '',
    scale: 1,
    preset: 0.01,
    sentence: (limit) => `cosine distance is at most ${short(limit)}`,
    axis: 'cosine distance',
    format: (cost) => short(cost),
  },
  max_kl: {
    title: 'Probabilities shift',
    hint: 'KL divergence from the classes of the original. Needs no labels.',
    needsLabels: false,
    unit: 'nats',
    scale: 1,
    preset: 0.01,
    sentence: (limit) => `KL divergence is at most ${short(limit)} nats`,
    axis: 'KL divergence, nats',
    format: (cost) => `${short(cost)} nats`,
  },
};
export const PROMISE_NAMES = Object.keys(PROMISES) as TargetName[];

/** What a promise or target bounds; null of a metric of the client's own, or without one. */
export function promiseOf(terms: Recipe | null | undefined): { name: TargetName; limit: number } | null {
  for (const name of PROMISE_NAMES) {
    const limit = terms?.[name];
    if (typeof limit === 'number') return { name, limit };
  }
  return null;
}

export function describePromise(terms: Recipe | null | undefined): string {
  const promise = promiseOf(terms);
  if (promise === null)
    return terms?.external
      ? `your own metric keeps its limit (${describeMetricLimit(terms.external as MetricLimit)})`
      : 'no promise';
  const sure =
    typeof terms?.confidence === 'number' ? `, with ${sharePercent(terms.confidence)} confidence` : '';
  return PROMISES[promise.name].sentence(promise.limit) + sure;
}

/** By how much a candidate is worse than the dense model in what a promise bounds, with its standard error; null where it was not measured. */
export function costOf(
  name: TargetName,
  candidate: Candidate,
  dense: NonNullable<Search['dense']>,
): { cost: number; error: number | null } | null {
  const { accuracy, loss, top1_agreement, kl, relative_l2, cosine_distance, standard_error } = candidate;
  const known = (cost: number | null, error = standard_error) => (cost === null ? null : { cost, error });
  switch (name) {
    case 'max_accuracy_drop':
      return accuracy === null || dense.accuracy === null ? null : known(dense.accuracy - accuracy);
    case 'max_loss_increase':
      if (loss === null || !dense.loss) return null;
      return known(loss / dense.loss - 1, standard_error === null ? null : standard_error / dense.loss);
    case 'max_disagreement':
      return known(top1_agreement === null ? null : 1 - top1_agreement);
    case 'max_kl':
      return known(kl);
    case 'max_relative_l2':
      return known(relative_l2);
    case 'max_cosine_distance':
      return known(cosine_distance);
  }
}

export const AIM_WORDS: Readonly<Record<string, { title: string; hint: string; axis: string }>> = {
  size: {
    title: 'Smaller download',
    hint: 'Fewest bytes, compressed.',
    axis: 'download size, % of the original',
  },
  speed: {
    title: 'Faster model',
    hint: 'Structures are removed; times are measured.',
    axis: 'time of a batch, % of the original',
  },
  parameters: {
    title: 'Fewer parameters',
    hint: 'Fewest that are not zero.',
    axis: 'parameters left, % of the original',
  },
};

/** How much of the original a candidate is, in what the aim lessens; null where it was not measured. */
export function amountOf(
  aim: string,
  { compressed_bytes, parameters, speedup }: Candidate,
  dense: NonNullable<Search['dense']>,
): number | null {
  if (aim === 'speed') return speedup === null ? null : 1 / speedup;
  return aim === 'parameters' ? parameters / dense.parameters : compressed_bytes / dense.compressed_bytes;
}

/** A cost with its interval: `1.2 ± 0.9 points`. */
export function describeCost(name: TargetName, cost: number, error: number | null): string {
  const { format, scale, unit } = PROMISES[name];
  if (error === null) return format(cost);
  const figures = `${short(cost / scale)} ± ${Number(((ERRORS * error) / scale).toPrecision(2))}`;
  return signed([figures, unit].filter(Boolean).join(' '), name === 'max_loss_increase' ? cost : 0);
}

/** A difference within its interval is none that was seen; one of the loss is relative to the dense model's. */
export function isNoDifference(difference: number, error: number | null): boolean {
  return error !== null && isNoise(difference, error, 1);
}

export function describeAccuracy(value: number | null | undefined): string {
  return value == null ? '–' : formatAccuracy(value);
}
