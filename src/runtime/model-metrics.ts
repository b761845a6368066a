import type { Fetched } from '../formats/numbers.ts';

/** Figures of one model on the evaluation data. Null: not measured, or not finite. */
export interface Metrics {
  /** Mean over what counts: cross-entropy in nats over positions, binary cross-entropy in nats or squared errors over the output's numbers. */
  readonly loss: number | null;
  /**
   * Share of those positions at which the label's output is the largest; of equal ones the first is. With binary cross-entropy the share of
   * numbers on the label's side of 0.5, itself counted as below. Null with squared errors.
   */
  readonly accuracy: number | null;
  /** `exp(loss)` of sequences. */
  readonly perplexity: number | null;
  /** `||y' - y|| / ||y||` of the pruned model's outputs y' and the dense model's y, all of them taken together. */
  readonly relative_l2: number | null;
  /** `<y', y> / (||y'|| ||y||)`, likewise. */
  readonly cosine: number | null;
  /** Share of the positions at which the prediction is the same. */
  readonly top1_agreement: number | null;
  /** Mean KL(dense || pruned) in nats over those positions. */
  readonly kl: number | null;
  /** Mean over samples of 1 - cosine of a position's vector, itself a mean over positions. */
  readonly cosine_distance: number | null;
}

export const NOT_MEASURED: Metrics = {
  loss: null,
  accuracy: null,
  perplexity: null,
  relative_l2: null,
  cosine: null,
  top1_agreement: null,
  kl: null,
  cosine_distance: null,
};

/** Outputs to compute with: float16 widened to float32. */
export type Floats = Float32Array | Float64Array;

export function toFloats({ data }: Fetched): Floats {
  return data instanceof Float32Array || data instanceof Float64Array
    ? data
    : Float32Array.from(data as Float16Array);
}

/** The least number above 0, by dtype. */
export const SMALLEST: Readonly<Record<string, number>> = {
  float16: 2 ** -24,
  float32: 2 ** -149,
  float64: 2 ** -1074,
};

/** `-log softmax(logits)[label]` in nats, of the `classes` numbers from `offset` on; no size of logits overflows. */
export function crossEntropy(logits: Floats, offset: number, classes: number, label: number): number {
  const max = logits[offset + argmax(logits, offset, classes)];
  let sum = 0;
  for (let i = offset; i < offset + classes; i++) sum += Math.exp(logits[i] - max);
  return Math.log(sum) + (max - logits[offset + label]);
}

/**
 * The same of `logits = log(p)`. A probability that has become 0 counts as `smallest`, the least above 0 that its type can hold:
 * what it was is not known, and its loss would be infinite.
 */
export function crossEntropyOfProbabilities(
  probabilities: Floats,
  offset: number,
  classes: number,
  label: number,
  smallest: number,
): number {
  let sum = 0;
  for (let i = offset; i < offset + classes; i++) sum += Math.max(probabilities[i], smallest);
  return Math.log(sum) - Math.log(Math.max(probabilities[offset + label], smallest));
}

/** `KL(softmax(dense) || softmax(pruned))` in nats, of the `classes` numbers from `offset` on. */
export function divergence(dense: Floats, pruned: Floats, offset: number, classes: number): number {
  const [highest, highestOfPruned] = [dense, pruned].map(
    (logits) => logits[offset + argmax(logits, offset, classes)],
  );
  let [sum, sumOfPruned, difference] = [0, 0, 0];
  for (let i = offset; i < offset + classes; i++) {
    const [a, b] = [dense[i] - highest, pruned[i] - highestOfPruned];
    const weight = Math.exp(a);
    sum += weight;
    sumOfPruned += Math.exp(b);
    if (weight > 0) difference += weight * (a - b);
  }
  return Math.max(0, difference / sum - Math.log(sum) + Math.log(sumOfPruned));
}

/** The same of probabilities, of which one that has become 0 counts as `smallest`. */
export function divergenceOfProbabilities(
  dense: Floats,
  pruned: Floats,
  offset: number,
  classes: number,
  smallest: number,
): number {
  const log = (numbers: Floats) =>
    numbers.subarray(offset, offset + classes).map((p) => Math.log(Math.max(p, smallest)));
  return divergence(log(dense), log(pruned), 0, classes);
}

/**
 * `1 - cosine` of the vectors of `size` numbers from `offset` on, in [0, 2]: 0 of equal ones, zeros too, 1 where one of them alone is zeros. NaN where it is not
 * finite.
 */
export function cosineDistance(dense: Floats, pruned: Floats, offset: number, size: number): number {
  let [product, squares, squaresOfPruned] = [0, 0, 0];
  let isSame = true;
  for (let i = offset; i < offset + size; i++) {
    if (pruned[i] !== dense[i]) isSame = false;
    product += dense[i] * pruned[i];
    squares += dense[i] * dense[i];
    squaresOfPruned += pruned[i] * pruned[i];
  }
  if (isSame) return 0;
  if (squares === 0 || squaresOfPruned === 0)
    return squares + squaresOfPruned < Number.POSITIVE_INFINITY ? 1 : Number.NaN;
  const cosine = product / (Math.sqrt(squares) * Math.sqrt(squaresOfPruned));
  return Number.isFinite(squares + squaresOfPruned) ? 1 - Math.max(-1, Math.min(1, cosine)) : Number.NaN;
}

/** `-t log p - (1 - t) log(1 - p)` in nats, `p = sigmoid(logit)`; no size of logit overflows. */
export function binaryCrossEntropy(logit: number, label: number): number {
  return Math.max(logit, 0) - logit * label + Math.log1p(Math.exp(-Math.abs(logit)));
}

/** Index from `offset` on of the largest of `count` numbers, the first of equal ones. */
export function argmax(numbers: Floats, offset: number, count: number): number {
  let best = 0;
  for (let i = 1; i < count; i++) if (numbers[offset + i] > numbers[offset + best]) best = i;
  return best;
}

export function allFinite(numbers: Floats, offset: number, count: number): boolean {
  for (let i = offset; i < offset + count; i++) if (!Number.isFinite(numbers[i])) return false;
  return true;
}

/** JSON has no NaN and no infinity. */
export function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
