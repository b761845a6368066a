import { elementCount } from '../formats/model.ts';
import type { LabelLayout } from '../graph/label-layout.ts';
import { counts } from './label-checks.ts';

/** What a model would reach that says the same of every sample, as the other samples' labels suggest. */
export interface Guess {
  /** In the unit of the loss. */
  readonly loss: number;
  /** Null with squared errors. */
  readonly accuracy: number | null;
}

/** Adds up labels: of class ids how often each is met, of numbers the mean and spread of each place in a sample. */
export class ConstantGuess {
  readonly #layout: LabelLayout;
  readonly #places: number;
  readonly #n: Float64Array;
  readonly #sums: Float64Array;
  readonly #squares: Float64Array;
  readonly #above: Float64Array;

  constructor(layout: LabelLayout) {
    this.#layout = layout;
    this.#places =
      layout.loss === 'cross_entropy' ? layout.classes : Math.max(1, elementCount(layout.labelShape));
    this.#n = new Float64Array(this.#places);
    this.#sums = new Float64Array(this.#places);
    this.#squares = new Float64Array(this.#places);
    this.#above = new Float64Array(this.#places);
  }

  /** @param labels of whole samples, row-major; checked before */
  add(labels: Float64Array): void {
    const { loss } = this.#layout;
    for (const [index, label] of labels.entries()) {
      if (!counts(label, loss)) continue;
      const place = loss === 'cross_entropy' ? label : index % this.#places;
      this.#n[place]++;
      this.#sums[place] += label;
      this.#squares[place] += label * label;
      if (label > 0.5) this.#above[place]++;
    }
  }

  /** Null where fewer than 2 labels count. */
  get guess(): Guess | null {
    const total = this.#n.reduce((sum, n) => sum + n, 0);
    if (total < 2) return null;
    switch (this.#layout.loss) {
      case 'cross_entropy':
        return this.#ofClasses(total);
      case 'binary_cross_entropy':
        return this.#ofProbabilities(total);
      default:
        return this.#ofMeans(total);
    }
  }

  /** Each label guessed by how often its class is met among the others, and one label in all spread over every class. */
  #ofClasses(total: number): Guess {
    let [loss, most] = [0, 0];
    for (const n of this.#n) {
      if (n > 0) loss -= n * Math.log((n - 1 + 1 / this.#places) / total);
      most = Math.max(most, n);
    }
    return { loss: loss / total, accuracy: most / total };
  }

  #ofProbabilities(total: number): Guess {
    let [loss, hits] = [0, 0];
    for (const [place, n] of this.#n.entries()) {
      const p = (this.#sums[place] + 0.5) / (n + 1);
      loss -= this.#sums[place] * Math.log(p) + (n - this.#sums[place]) * Math.log1p(-p);
      hits += Math.max(this.#above[place], n - this.#above[place]);
    }
    return { loss: loss / total, accuracy: hits / total };
  }

  /** The mean of the others, which is off by `n / (n - 1)` of a deviation. */
  #ofMeans(total: number): Guess {
    let loss = 0;
    for (const [place, n] of this.#n.entries()) {
      if (n < 2) return { loss: Number.POSITIVE_INFINITY, accuracy: null };
      const squares = this.#squares[place] - this.#sums[place] ** 2 / n;
      loss += Math.max(0, squares) * (n / (n - 1)) ** 2;
    }
    return { loss: loss / total, accuracy: null };
  }
}
