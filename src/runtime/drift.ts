import { type PairedRisk, riskOf, riskStandardError } from '../core/risk-test.ts';
import { sumOf } from '../core/statistics.ts';
import {
  allFinite,
  argmax,
  cosineDistance,
  type Floats,
  finiteOrNull,
  type Metrics,
  NOT_MEASURED,
} from './model-metrics.ts';
import { OneAnswer } from './one-answer.ts';
import { PairedSpread, type VarianceFigures } from './output-spread.ts';

/** Outputs of a batch, row-major, sample by sample. */
export interface ComparedOutputs {
  /** All of them finite. */
  readonly dense: Floats;
  readonly pruned: Floats;
  /** The batch's first sample. */
  readonly start: number;
  readonly count: number;
  /** Whether a position of the output counts, where labels say that some do not; null where all do. */
  readonly isCounted: ((position: number) => boolean) | null;
}

/** What an output predicts at a position: the largest of its entries, or of a single number the side of 0.5 that it is on. */
export interface Prediction {
  /** Numbers of a position; of 1, unless it is by sides, there is nothing to agree on. */
  readonly entries: number;
  readonly isBySide: boolean;
  /** Of entries as classes, where it is asked for; null where it is not. */
  readonly divergence: ((dense: Floats, pruned: Floats, offset: number) => number) | null;
  /** Numbers of a vector whose direction is compared, where that is asked for; null where it is not, or a number stands alone. */
  readonly vector: number | null;
}

export interface DriftErrors {
  /** Of 1 - `top1_agreement`. */
  readonly disagreement_standard_error: number | null;
  readonly relative_l2_standard_error: number | null;
  readonly kl_standard_error: number | null;
  readonly cosine_distance_standard_error: number | null;
}

/** How far the pruned model's outputs are from the dense model's, summed by sample in float64. */
export class Drift {
  readonly #squaredDifferences: Float64Array;
  readonly #squaresOfDense: Float64Array;
  readonly #squaresOfPruned: Float64Array;
  readonly #products: Float64Array;
  readonly #positions: Float64Array;
  readonly #agreements: Float64Array;
  readonly #divergences: Float64Array;
  readonly #distances: Float64Array;
  readonly #seen: Float64Array;
  readonly #prediction: Prediction;
  #isSame = true;
  readonly #spread = new PairedSpread();
  readonly #answers = { dense: new OneAnswer(), pruned: new OneAnswer() };

  constructor(nSamples: number, prediction: Prediction) {
    this.#prediction = prediction;
    this.#squaredDifferences = new Float64Array(nSamples);
    this.#squaresOfDense = new Float64Array(nSamples);
    this.#squaresOfPruned = new Float64Array(nSamples);
    this.#products = new Float64Array(nSamples);
    this.#positions = new Float64Array(nSamples);
    this.#agreements = new Float64Array(nSamples);
    this.#divergences = new Float64Array(nSamples);
    this.#distances = new Float64Array(nSamples);
    this.#seen = new Float64Array(nSamples);
  }

  add(outputs: ComparedOutputs): void {
    const { dense, pruned, start, count } = outputs;
    const stride = strideOf(dense, count);
    for (let from = 0; from < dense.length; from += stride) {
      const sample = start + from / stride;
      let [squaredDifferences, squaresOfDense, squaresOfPruned, products] = [0, 0, 0, 0];
      for (let i = from; i < Math.min(from + stride, dense.length); i++) {
        const y = dense[i];
        const changed = pruned[i];
        if (changed !== y) this.#isSame = false;
        squaredDifferences += (changed - y) ** 2;
        squaresOfDense += y * y;
        squaresOfPruned += changed * changed;
        products += y * changed;
      }
      this.#spread.add(dense, pruned, from, Math.min(stride, dense.length - from));
      this.#squaredDifferences[sample] = squaredDifferences;
      this.#squaresOfDense[sample] = squaresOfDense;
      this.#squaresOfPruned[sample] = squaresOfPruned;
      this.#products[sample] = products;
    }
    if (this.hasPredictions) this.#comparePredictions(outputs, stride);
    if (this.#prediction.vector !== null) this.#compareDirections(outputs, stride, this.#prediction.vector);
  }

  /** Null for what is not finite, for the direction of outputs that are all 0, and for their drift unless they stay so. */
  get metrics(): Metrics {
    const squaresOfDense = sumOf(this.#squaresOfDense);
    const norms = Math.sqrt(squaresOfDense * sumOf(this.#squaresOfPruned));
    const cosine = norms < Number.POSITIVE_INFINITY ? sumOf(this.#products) / norms : Number.NaN;
    return {
      ...NOT_MEASURED,
      relative_l2: this.#isSame
        ? 0
        : finiteOrNull(Math.sqrt(sumOf(this.#squaredDifferences) / squaresOfDense)),
      cosine: finiteOrNull(cosine) && Math.max(-1, Math.min(1, cosine)),
      top1_agreement: finiteOrNull(sumOf(this.#agreements) / sumOf(this.#positions)),
      kl: this.#prediction.divergence && finiteOrNull(riskOf(this.klRisk)),
      cosine_distance: this.hasDirections ? finiteOrNull(riskOf(this.cosineDistanceRisk)) : null,
    };
  }

  /** How much of what the dense outputs vary by is left. */
  get variance(): VarianceFigures {
    return this.#spread.figures;
  }

  /** Whether there is something to agree on. */
  get hasPredictions(): boolean {
    return hasPredictions(this.#prediction);
  }

  /** Whether its entries are compared as classes. */
  get hasDivergence(): boolean {
    return this.#prediction.divergence !== null;
  }

  /** Whether the directions of its vectors are compared. */
  get hasDirections(): boolean {
    return this.#prediction.vector !== null;
  }

  /** The square of the relative L2 drift: squared distances against squared norms. */
  get squaredL2Risk(): PairedRisk {
    return { cost: this.#squaredDifferences, weight: this.#squaresOfDense };
  }

  /** Positions with another top-1, of all. */
  get disagreementRisk(): PairedRisk {
    return { cost: this.#positions.map((n, i) => n - this.#agreements[i]), weight: this.#positions };
  }

  /** Whether the dense model predicts the same everywhere: then predictions tell nothing of what pruning costs. */
  get isOneAnswer(): boolean {
    return this.#answers.dense.isOne;
  }

  /** Whether the pruned model does. */
  get isPrunedOneAnswer(): boolean {
    return this.#answers.pruned.isOne;
  }

  /** Divergences of all positions that count. */
  get klRisk(): PairedRisk {
    return { cost: this.#divergences, weight: this.#positions };
  }

  /** Of every sample the mean over its vectors, in [0, 2]. */
  get cosineDistanceRisk(): PairedRisk {
    return { cost: this.#distances, weight: this.#seen };
  }

  /** Over samples; null where there are fewer than 2, or what it is of is not finite. */
  get standardErrors(): DriftErrors {
    const squared = riskStandardError(this.squaredL2Risk);
    const { relative_l2 } = this.metrics;
    return {
      kl_standard_error: this.#prediction.divergence && finiteOrNull(riskStandardError(this.klRisk)),
      cosine_distance_standard_error: this.hasDirections
        ? finiteOrNull(riskStandardError(this.cosineDistanceRisk))
        : null,
      disagreement_standard_error: finiteOrNull(riskStandardError(this.disagreementRisk)),
      relative_l2_standard_error: relative_l2 === 0 ? 0 : finiteOrNull(squared / (2 * (relative_l2 ?? 0))),
    };
  }

  #compareDirections({ dense, pruned, start }: ComparedOutputs, stride: number, size: number): void {
    const vectors = stride / size;
    for (let offset = 0; offset < dense.length; offset += size) {
      const sample = start + Math.floor(offset / stride);
      this.#distances[sample] += cosineDistance(dense, pruned, offset, size) / vectors;
      this.#seen[sample] = 1;
    }
  }

  #comparePredictions({ dense, pruned, start, isCounted }: ComparedOutputs, stride: number): void {
    const { entries, isBySide, divergence } = this.#prediction;
    const predict = (numbers: Floats, offset: number) =>
      isBySide ? Number(numbers[offset] > 0.5) : argmax(numbers, offset, entries);
    for (let offset = 0; offset < dense.length; offset += entries) {
      if (isCounted && !isCounted(offset / entries)) continue;
      const sample = start + Math.floor(offset / stride);
      const predicted = predict(dense, offset);
      const changed = predict(pruned, offset);
      this.#answers.dense.add(predicted);
      this.#answers.pruned.add(changed);
      const agrees = predicted === changed;
      this.#positions[sample]++;
      if (divergence) this.#divergences[sample] += divergence(dense, pruned, offset);
      if (agrees && allFinite(pruned, offset, entries)) this.#agreements[sample]++;
    }
  }
}

/** Whether there is something to agree on: a number alone predicts nothing unless it is by sides. */
export function hasPredictions({ entries, isBySide }: Prediction): boolean {
  return entries > 1 || isBySide;
}

/** Numbers of a sample; of the last there are fewer where rows do not divide evenly. */
function strideOf({ length }: Floats, count: number): number {
  return Math.max(1, Math.ceil(length / count));
}
