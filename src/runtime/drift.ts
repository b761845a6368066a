import { type PairedRisk, riskStandardError } from '../core/risk-test.ts';
import { sumOf } from '../core/statistics.ts';
import { allFinite, argmax, type Floats, finiteOrNull, type Metrics, NOT_MEASURED } from './model-metrics.ts';

/** Outputs of a batch, row-major, of one shape. */
export interface ComparedOutputs {
  /** All of them finite. */
  readonly dense: Floats;
  readonly pruned: Floats;
  /** Size of the last axis; of 1, there is nothing to agree on. */
  readonly classes: number;
  /** The batch's first sample. */
  readonly start: number;
  readonly count: number;
  /** Numbers that lie together of a sample. */
  readonly stride: number;
}

export interface DriftErrors {
  /** Of 1 - `top1_agreement`. */
  readonly disagreement_standard_error: number | null;
  readonly relative_l2_standard_error: number | null;
}

/** How far the pruned model's outputs are from the dense model's, summed by sample in float64. */
export class Drift {
  readonly #squaredDifferences: Float64Array;
  readonly #squaresOfDense: Float64Array;
  readonly #squaresOfPruned: Float64Array;
  readonly #products: Float64Array;
  readonly #positions: Float64Array;
  readonly #agreements: Float64Array;

  constructor(nSamples: number) {
    this.#squaredDifferences = new Float64Array(nSamples);
    this.#squaresOfDense = new Float64Array(nSamples);
    this.#squaresOfPruned = new Float64Array(nSamples);
    this.#products = new Float64Array(nSamples);
    this.#positions = new Float64Array(nSamples);
    this.#agreements = new Float64Array(nSamples);
  }

  add(outputs: ComparedOutputs): void {
    const { dense, pruned, classes, start, count, stride } = outputs;
    for (let from = 0; from < dense.length; from += stride) {
      const sample = start + ((from / stride) % count);
      let [squaredDifferences, squaresOfDense, squaresOfPruned, products] = [0, 0, 0, 0];
      for (let i = from; i < Math.min(from + stride, dense.length); i++) {
        const y = dense[i];
        const changed = pruned[i];
        squaredDifferences += (changed - y) ** 2;
        squaresOfDense += y * y;
        squaresOfPruned += changed * changed;
        products += y * changed;
      }
      this.#squaredDifferences[sample] += squaredDifferences;
      this.#squaresOfDense[sample] += squaresOfDense;
      this.#squaresOfPruned[sample] += squaresOfPruned;
      this.#products[sample] += products;
    }
    if (classes > 1) this.#compareLargest(outputs);
  }

  /** Null for what is not finite, and for the direction of outputs that are all 0. */
  get metrics(): Metrics {
    const squaresOfDense = sumOf(this.#squaresOfDense);
    const norms = Math.sqrt(squaresOfDense * sumOf(this.#squaresOfPruned));
    const cosine = norms < Number.POSITIVE_INFINITY ? sumOf(this.#products) / norms : Number.NaN;
    return {
      ...NOT_MEASURED,
      relative_l2: finiteOrNull(Math.sqrt(sumOf(this.#squaredDifferences) / squaresOfDense)),
      cosine: finiteOrNull(cosine) && Math.max(-1, Math.min(1, cosine)),
      top1_agreement: finiteOrNull(sumOf(this.#agreements) / sumOf(this.#positions)),
    };
  }

  /** The square of the relative L2 drift: squared distances against squared norms. */
  get squaredL2Risk(): PairedRisk {
    return { cost: this.#squaredDifferences, weight: this.#squaresOfDense };
  }

  /** Positions with another top-1, of all. */
  get disagreementRisk(): PairedRisk {
    return { cost: this.#positions.map((n, i) => n - this.#agreements[i]), weight: this.#positions };
  }

  /** Over samples; null where there are fewer than 2, or what it is of is not finite. */
  get standardErrors(): DriftErrors {
    const squared = riskStandardError(this.squaredL2Risk);
    const { relative_l2 } = this.metrics;
    return {
      disagreement_standard_error: finiteOrNull(riskStandardError(this.disagreementRisk)),
      relative_l2_standard_error: relative_l2 === 0 ? 0 : finiteOrNull(squared / (2 * (relative_l2 ?? 0))),
    };
  }

  #compareLargest({ dense, pruned, classes, start, count, stride }: ComparedOutputs): void {
    for (let offset = 0; offset < dense.length; offset += classes) {
      const sample = start + (Math.floor(offset / stride) % count);
      this.#positions[sample]++;
      const agrees = argmax(dense, offset, classes) === argmax(pruned, offset, classes);
      if (agrees && allFinite(pruned, offset, classes)) this.#agreements[sample]++;
    }
  }
}
