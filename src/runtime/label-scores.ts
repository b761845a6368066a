import { EmpError } from '../core/errors.ts';
import { sumOf } from '../core/statistics.ts';
import { IGNORED_LABEL } from '../formats/sample-set.ts';
import {
  allFinite,
  argmax,
  crossEntropy,
  crossEntropyOfProbabilities,
  type Floats,
  finiteOrNull,
  type Metrics,
  NOT_MEASURED,
} from './metrics.ts';

/** Outputs of a batch, row-major `[samples, positions, classes]`, and their labels `[samples, positions]`. */
export interface LabelledOutput {
  readonly numbers: Floats;
  readonly labels: Float64Array;
  /** The batch's first sample. */
  readonly start: number;
  readonly positions: number;
  readonly classes: number;
  readonly isSequence: boolean;
  /** Where the numbers are probabilities: the least above 0 that their type can hold. Null for logits. */
  readonly smallestProbability: number | null;
}

/** Standard errors over samples of paired differences to the dense model; null where fewer than 2 samples count. */
export interface StandardErrors {
  /** Of (loss - dense loss). */
  readonly loss_increase_standard_error: number | null;
  /** Of (dense accuracy - accuracy). */
  readonly accuracy_drop_standard_error: number | null;
}

/** Cross-entropy and hits of a model, summed by sample. */
export class LabelScores {
  readonly #losses: Float64Array;
  readonly #hits: Float64Array;
  /** Positions that count. */
  readonly #counts: Float64Array;
  #isSequence = false;
  #firstNonFinite: string | null = null;

  constructor(nSamples: number) {
    this.#losses = new Float64Array(nSamples);
    this.#hits = new Float64Array(nSamples);
    this.#counts = new Float64Array(nSamples);
  }

  /** Where outputs are not finite the loss is NaN, and the position counts as wrong. Throws `invalid_labels`. */
  add(output: LabelledOutput): void {
    const { numbers, labels, start, positions, classes, isSequence, smallestProbability } = output;
    this.#isSequence = isSequence;
    checkClassIds(output);
    for (let row = 0; row < labels.length; row++) {
      const label = labels[row];
      if (label === IGNORED_LABEL) continue;
      const sample = start + Math.floor(row / positions);
      const offset = row * classes;
      this.#counts[sample]++;
      if (!allFinite(numbers, offset, classes)) {
        this.#losses[sample] = Number.NaN;
        this.#firstNonFinite ??= placeOf(row, output);
        continue;
      }
      this.#losses[sample] +=
        smallestProbability === null
          ? crossEntropy(numbers, offset, classes, label)
          : crossEntropyOfProbabilities(numbers, offset, classes, label, smallestProbability);
      if (argmax(numbers, offset, classes) === label) this.#hits[sample]++;
    }
  }

  /** The first sample, and position of a sequence, with outputs that are not finite. */
  get firstNonFinite(): string | null {
    return this.#firstNonFinite;
  }

  /** Positions that count. */
  get nPositions(): number {
    return sumOf(this.#counts);
  }

  get metrics(): Metrics {
    const loss = sumOf(this.#losses) / this.nPositions;
    return {
      ...NOT_MEASURED,
      loss: finiteOrNull(loss),
      accuracy: sumOf(this.#hits) / this.nPositions,
      perplexity: this.#isSequence ? finiteOrNull(Math.exp(loss)) : null,
    };
  }

  /** Of each sample's mean loss and accuracy, this model's against the dense one's. */
  standardErrors(dense: LabelScores): StandardErrors {
    const counted = [...this.#counts.keys()].filter((sample) => this.#counts[sample] > 0);
    const differences = (a: Float64Array, b: Float64Array) =>
      Float64Array.from(counted, (sample) => (a[sample] - b[sample]) / this.#counts[sample]);
    return {
      loss_increase_standard_error: standardError(differences(this.#losses, dense.#losses)),
      accuracy_drop_standard_error: standardError(differences(dense.#hits, this.#hits)),
    };
  }
}

/** Of the mean: s / sqrt(n), s with n - 1. */
function standardError(values: Float64Array): number | null {
  const n = values.length;
  const mean = sumOf(values) / n;
  const variance = sumOf(values.map((value) => (value - mean) ** 2)) / (n - 1);
  return finiteOrNull(Math.sqrt(variance / n));
}

/** Throws `invalid_labels` for the first label that is neither a class nor -100. */
export function checkClassIds(output: Omit<LabelledOutput, 'numbers' | 'smallestProbability'>): void {
  const { labels, classes } = output;
  const row = labels.findIndex(
    (label) => label !== IGNORED_LABEL && !(Number.isInteger(label) && label >= 0 && label < classes),
  );
  if (row < 0) return;
  throw new EmpError(
    'invalid_labels',
    `${placeOf(row, output)} has label ${labels[row]}: the model's classes are 0 to ${classes - 1}, and ${IGNORED_LABEL} marks what does not count`,
  );
}

function placeOf(
  row: number,
  { start, positions, isSequence }: Pick<LabelledOutput, 'start' | 'positions' | 'isSequence'>,
): string {
  const sample = start + Math.floor(row / positions);
  return `sample ${sample}${isSequence ? `, position ${row % positions}` : ''}`;
}
