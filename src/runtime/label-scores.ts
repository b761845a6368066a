import { type PairedRisk, riskStandardError } from '../core/risk-test.ts';
import { sumOf } from '../core/statistics.ts';
import { elementCount } from '../formats/model.ts';
import { type LabelLayout, type LabelledBatch, nameLabel } from '../graph/label-layout.ts';
import { checkLabels, counts } from './label-checks.ts';
import {
  allFinite,
  argmax,
  binaryCrossEntropy,
  crossEntropy,
  crossEntropyOfProbabilities,
  type Floats,
  finiteOrNull,
  type Metrics,
  NOT_MEASURED,
} from './model-metrics.ts';
import { OneAnswer } from './one-answer.ts';
import { type Constancy, isVanished, OutputSpread, varianceKept } from './output-spread.ts';

/** A batch's numbers, row-major, `layout.classes` for each of its labels; of binary cross-entropy they are logits. */
export interface LabelledNumbers extends LabelledBatch {
  readonly numbers: Floats;
  readonly labels: Float64Array;
  /** Where the numbers are probabilities of classes: the least above 0 that their type can hold. Null for others. */
  readonly smallestProbability: number | null;
}

/** Standard errors over samples of paired differences to the dense model; null where fewer than 2 samples count. */
export interface LabelErrors {
  /** Of (loss - dense loss). */
  readonly loss_increase_standard_error: number | null;
  /** Of (dense accuracy - accuracy); null without an accuracy. */
  readonly accuracy_drop_standard_error: number | null;
}

/** Loss and hits of a model, summed by sample. */
export class LabelScores {
  readonly #layout: LabelLayout;
  readonly #losses: Float64Array;
  readonly #hits: Float64Array;
  /** Labels that count. */
  readonly #counts: Float64Array;
  #answer = new OneAnswer();
  #spread: OutputSpread;
  #firstNonFinite: string | null = null;

  constructor(nSamples: number, layout: LabelLayout) {
    this.#layout = layout;
    this.#losses = new Float64Array(nSamples);
    this.#hits = new Float64Array(nSamples);
    this.#counts = new Float64Array(nSamples);
    this.#spread = new OutputSpread(elementCount(layout.labelShape) * layout.classes);
  }

  /** Where numbers are not finite the loss is NaN, and the label counts as missed. Throws `invalid_labels`. */
  add(batch: LabelledNumbers): void {
    const { numbers, labels, start } = batch;
    const { loss, labelShape, classes } = this.#layout;
    checkLabels(labels, batch, this.#layout);
    const perSample = elementCount(labelShape);
    for (let index = 0; index < labels.length; index++) {
      const label = labels[index];
      if (!counts(label, loss)) continue;
      const sample = start + Math.floor(index / perSample);
      const offset = index * classes;
      this.#counts[sample]++;
      if (!allFinite(numbers, offset, classes)) {
        this.#losses[sample] = Number.NaN;
        this.#firstNonFinite ??= nameLabel(index, batch, this.#layout);
        continue;
      }
      this.#answer.add(this.#predictedAt(offset, numbers), loss === 'cross_entropy' ? 0 : index % perSample);
      this.#spread.add(numbers, offset, classes, (index % perSample) * classes);
      this.#losses[sample] += this.#lossAt(offset, label, batch);
      if (this.#isHit(offset, label, numbers)) this.#hits[sample]++;
    }
  }

  /** The first sample, and position in it, with numbers that are not finite. */
  get firstNonFinite(): string | null {
    return this.#firstNonFinite;
  }

  /** Labels of each sample that count. */
  get counted(): Float64Array {
    return this.#counts;
  }

  /** Whether the model predicts the same everywhere; of a part, whether it does so of the whole. */
  get isOneAnswer(): boolean {
    return this.#answer.isOne;
  }

  /**
   * Of parts, that of the wholes.
   * @param drift of the same model, where it is measured as well
   */
  constancyBeside(dense: LabelScores, drift: Constancy | null): Constancy {
    const kept = varianceKept(this.#spread, dense.#spread);
    const variance = { kept, explained: drift?.variance.explained ?? null };
    // Predictions may stay while the numbers that they are made of shrink.
    const isConstant =
      this.#layout.loss === 'mean_squared_error'
        ? isVanished(variance)
        : this.isOneAnswer && !dense.isOneAnswer;
    return { isConstant, variance };
  }

  /** Labels that count. */
  get nPositions(): number {
    return sumOf(this.#counts);
  }

  get metrics(): Metrics {
    const loss = sumOf(this.#losses) / this.nPositions;
    return {
      ...NOT_MEASURED,
      loss: finiteOrNull(loss),
      accuracy: this.#hasAccuracy ? sumOf(this.#hits) / this.nPositions : null,
      perplexity: this.#layout.isSequence ? finiteOrNull(Math.exp(loss)) : null,
    };
  }

  /** Of some of the samples alone. */
  part(samples: Uint32Array): LabelScores {
    const part = new LabelScores(samples.length, this.#layout);
    part.#answer = this.#answer;
    part.#spread = this.#spread;
    for (const [i, sample] of samples.entries()) {
      part.#losses[i] = this.#losses[sample];
      part.#hits[i] = this.#hits[sample];
      part.#counts[i] = this.#counts[sample];
    }
    return part;
  }

  /** By how much this model's loss is above the dense one's, against that; and what it misses more than that one, of what counts. */
  risksAgainst(dense: LabelScores): { readonly loss: PairedRisk; readonly accuracy?: PairedRisk } {
    const loss = { cost: this.#losses.map((value, i) => value - dense.#losses[i]), weight: dense.#losses };
    const cost = dense.#hits.map((hits, i) => hits - this.#hits[i]);
    return this.#hasAccuracy ? { loss, accuracy: { cost, weight: this.#counts } } : { loss };
  }

  /** Samples with labels that count. */
  get nCounted(): number {
    return this.#counts.reduce((sum, count) => sum + Number(count > 0), 0);
  }

  /** The labels of a sample that count, at most. */
  get mostPerSample(): number {
    return elementCount(this.#layout.labelShape);
  }

  /** Of loss and accuracy over positions, this model's against the dense one's, sample by sample. */
  standardErrors(dense: LabelScores): LabelErrors {
    const weight = this.#counts;
    const { loss, accuracy } = this.risksAgainst(dense);
    return {
      loss_increase_standard_error: finiteOrNull(riskStandardError({ cost: loss.cost, weight })),
      accuracy_drop_standard_error: accuracy ? finiteOrNull(riskStandardError(accuracy)) : null,
    };
  }

  get #hasAccuracy(): boolean {
    return this.#layout.loss !== 'mean_squared_error';
  }

  #lossAt(offset: number, label: number, { numbers, smallestProbability }: LabelledNumbers): number {
    const { loss, classes } = this.#layout;
    if (loss === 'mean_squared_error') return (numbers[offset] - label) ** 2;
    if (loss === 'binary_cross_entropy') return binaryCrossEntropy(numbers[offset], label);
    return smallestProbability === null
      ? crossEntropy(numbers, offset, classes, label)
      : crossEntropyOfProbabilities(numbers, offset, classes, label, smallestProbability);
  }

  /** A class, a side, or of squared errors the number itself. */
  #predictedAt(offset: number, numbers: Floats): number {
    const { loss, classes } = this.#layout;
    if (loss === 'mean_squared_error') return numbers[offset];
    if (loss === 'binary_cross_entropy') return Number(numbers[offset] > 0);
    return argmax(numbers, offset, classes);
  }

  #isHit(offset: number, label: number, numbers: Floats): boolean {
    const { loss } = this.#layout;
    if (loss === 'mean_squared_error') return false;
    const predicted = this.#predictedAt(offset, numbers);
    return loss === 'binary_cross_entropy' ? predicted === Number(label > 0.5) : predicted === label;
  }
}
