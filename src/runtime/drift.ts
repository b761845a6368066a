import { allFinite, argmax, type Floats, finiteOrNull, type Metrics, NOT_MEASURED } from './model-metrics.ts';

/** How far the pruned model's outputs are from the dense model's, summed in float64 over batches. */
export class Drift {
  #squaredDifferences = 0;
  #squaresOfDense = 0;
  #squaresOfPruned = 0;
  #products = 0;
  #positions = 0;
  #agreements = 0;

  /**
   * Adds outputs of one shape, row-major.
   * @param dense all of them finite
   * @param classes size of the last axis; of 1, there is nothing to agree on
   */
  add(dense: Floats, pruned: Floats, classes: number): void {
    let [squaredDifferences, squaresOfDense, squaresOfPruned, products] = [0, 0, 0, 0];
    for (let i = 0; i < dense.length; i++) {
      const y = dense[i];
      const changed = pruned[i];
      squaredDifferences += (changed - y) ** 2;
      squaresOfDense += y * y;
      squaresOfPruned += changed * changed;
      products += y * changed;
    }
    this.#squaredDifferences += squaredDifferences;
    this.#squaresOfDense += squaresOfDense;
    this.#squaresOfPruned += squaresOfPruned;
    this.#products += products;
    if (classes > 1) this.#compareLargest(dense, pruned, classes);
  }

  /** Null for what is not finite, and for the direction of outputs that are all 0. */
  get metrics(): Metrics {
    const norms = Math.sqrt(this.#squaresOfDense * this.#squaresOfPruned);
    const cosine = norms < Number.POSITIVE_INFINITY ? this.#products / norms : Number.NaN;
    return {
      ...NOT_MEASURED,
      relative_l2: finiteOrNull(Math.sqrt(this.#squaredDifferences / this.#squaresOfDense)),
      cosine: finiteOrNull(cosine) && Math.max(-1, Math.min(1, cosine)),
      top1_agreement: finiteOrNull(this.#agreements / this.#positions),
    };
  }

  #compareLargest(dense: Floats, pruned: Floats, classes: number): void {
    for (let offset = 0; offset < dense.length; offset += classes) {
      this.#positions++;
      const agrees = argmax(dense, offset, classes) === argmax(pruned, offset, classes);
      if (agrees && allFinite(pruned, offset, classes)) this.#agreements++;
    }
  }
}
