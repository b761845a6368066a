/** Weights that read structures, `width` columns of each, in the structures' order. */
export interface Reading {
  readonly width: number;
  /** Output units. */
  readonly rows: number;
  /** `[structures * width, rows]`, a column of the layer's matrix after the other; overwritten. */
  readonly weights: Float64Array;
  /** What belongs to these columns, `[structures * width, structures * width]`, of the inverse of the Gram matrix of all that comes into the layer; overwritten. */
  readonly inverse: Float64Array;
}

/**
 * Removes `count` structures one by one, always the one that adds least to the error `tr(D A D')`, A the Gram matrices and D the change of all weights that makes up for what has gone best. Of block c of columns that is
 * `tr(W_c (H_cc)^-1 W_c')`, H the inverse of A, summed over the readings; then `W -= W_c (H_cc)^-1 H_c,:` and `H -= H_:,c (H_cc)^-1 H_c,:`. Of equal ones the last goes first.
 * @returns by structure, the root of what it added. Where that is less than of one that went before, it is the next number above: whoever keeps the highest keeps what this leaves
 */
export function removalErrors(count: number, readings: readonly Reading[]): Float64Array<ArrayBuffer> {
  const left = readings.map((reading) => new Remainder(count, reading));
  const structures = Int32Array.from({ length: count }, (_, slot) => slot);
  const found = new Float64Array(count);
  let highest = 0;
  for (let n = count; n > 0; n--) {
    let [best, least] = [0, Number.POSITIVE_INFINITY];
    for (let slot = 0; slot < n; slot++) {
      const error = left.reduce((sum, { errors }) => sum + errors[slot], 0);
      if (error < least || (error === least && structures[slot] > structures[best]))
        [best, least] = [slot, error];
    }
    highest = Math.max(Math.sqrt(least), highest * (1 + Number.EPSILON));
    found[structures[best]] = highest;
    for (const each of left) each.remove(best, n - 1);
    structures[best] = structures[n - 1];
  }
  return found;
}

/** What is left of a reading. Its structures stand in slots, without gaps; of the inverse only rows and columns up to the diagonal are kept up. */
class Remainder {
  /** Of each slot: what its structure would add. */
  readonly errors: Float64Array;
  readonly #width: number;
  readonly #rows: number;
  readonly #stride: number;
  readonly #weights: Float64Array;
  readonly #inverse: Float64Array;
  /** Of the last block: its Cholesky factor L, `[width, width]`, and `L^-1 W'`, `[width, rows]`. */
  readonly #factor: Float64Array;
  readonly #whitened: Float64Array;
  /** `L^-1 H` of the block that goes and each column: `[width, columns]`. */
  readonly #panel: Float64Array;

  constructor(count: number, { width, rows, weights, inverse }: Reading) {
    this.#width = width;
    this.#rows = rows;
    this.#stride = count * width;
    this.#weights = weights;
    this.#inverse = inverse;
    this.#factor = new Float64Array(width * width);
    this.#whitened = new Float64Array(width * rows);
    this.#panel = new Float64Array(width * this.#stride);
    this.errors = Float64Array.from({ length: count }, (_, slot) => this.#errorOf(slot));
  }

  /** Takes out the structure of a slot, which the one of slot `last` moves to; all others make up for it. */
  remove(slot: number, last: number): void {
    this.#whiten(slot);
    this.#fillPanel(slot, last);
    if (slot !== last) this.#move(last, slot);
    const [width, rows, stride] = [this.#width, this.#rows, this.#stride];
    const factors = new Float64Array(width);
    for (let i = 0; i < last * width; i++) {
      for (let a = 0; a < width; a++) factors[a] = this.#panel[a * stride + i];
      subtractRows(this.#inverse, i * stride, i + 1, this.#panel, stride, factors);
      subtractRows(this.#weights, i * rows, rows, this.#whitened, rows, factors);
    }
    for (let other = 0; other < last; other++) this.errors[other] = this.#errorOf(other);
  }

  /** `tr(W_c (H_cc)^-1 W_c')` */
  #errorOf(slot: number): number {
    if (this.#width > 1) return this.#whiten(slot);
    let squares = 0;
    for (let row = slot * this.#rows; row < (slot + 1) * this.#rows; row++)
      squares += this.#weights[row] * this.#weights[row];
    return squares / this.#at(slot, slot);
  }

  /** Computes `L^-1 W_c'`. Returns the sum of its squares, which is `tr(W_c (H_cc)^-1 W_c')`. */
  #whiten(slot: number): number {
    const [width, rows, factor, whitened] = [this.#width, this.#rows, this.#factor, this.#whitened];
    const first = slot * width;
    let sum = 0;
    for (let a = 0; a < width; a++) {
      for (let b = 0; b <= a; b++) {
        let value = this.#inverse[(first + a) * this.#stride + first + b];
        for (let c = 0; c < b; c++) value -= factor[a * width + c] * factor[b * width + c];
        factor[a * width + b] = a === b ? Math.sqrt(value) : value / factor[b * width + b];
      }
      const start = a * rows;
      for (let row = 0; row < rows; row++) whitened[start + row] = this.#weights[(first + a) * rows + row];
      subtractRows(whitened, start, rows, whitened, rows, factor.subarray(a * width, a * width + a));
      const pivot = factor[a * width + a];
      for (let row = start; row < start + rows; row++) {
        whitened[row] /= pivot;
        sum += whitened[row] * whitened[row];
      }
    }
    return sum;
  }

  /** Of the block whose factor is known. Columns stand where they will be once `last` has moved. */
  #fillPanel(slot: number, last: number): void {
    const [width, stride, factor, panel] = [this.#width, this.#stride, this.#factor, this.#panel];
    for (let other = 0; other <= last; other++) {
      if (other === slot) continue;
      for (let own = 0; own < width; own++) {
        const target = (other === last ? slot : other) * width + own;
        for (let a = 0; a < width; a++) {
          let value = this.#at(slot * width + a, other * width + own);
          for (let b = 0; b < a; b++) value -= factor[a * width + b] * panel[b * stride + target];
          panel[a * stride + target] = value / factor[a * width + a];
        }
      }
    }
  }

  #move(from: number, to: number): void {
    const [width, rows] = [this.#width, this.#rows];
    for (let a = 0; a < width; a++) {
      const [source, target] = [from * width + a, to * width + a];
      for (let other = 0; other < from * width; other++) {
        if (other < to * width || other >= (to + 1) * width)
          this.#set(target, other, this.#at(source, other));
      }
      for (let b = 0; b <= a; b++) this.#set(target, to * width + b, this.#at(source, from * width + b));
      this.#weights.copyWithin(target * rows, source * rows, (source + 1) * rows);
    }
  }

  #at(i: number, j: number): number {
    return this.#inverse[i >= j ? i * this.#stride + j : j * this.#stride + i];
  }

  #set(i: number, j: number, value: number): void {
    this.#inverse[i >= j ? i * this.#stride + j : j * this.#stride + i] = value;
  }
}

/** Subtracts from `length` numbers the rows of `source`, each times its factor: three at a time, which takes two thirds of the time. */
function subtractRows(
  target: Float64Array,
  start: number,
  length: number,
  source: Float64Array,
  stride: number,
  factors: Float64Array,
): void {
  const end = start + length;
  let row = 0;
  for (; row + 2 < factors.length; row += 3) {
    const [a, b, c] = [factors[row], factors[row + 1], factors[row + 2]];
    let [first, second, third] = [row * stride, (row + 1) * stride, (row + 2) * stride];
    for (let at = start; at < end; at++)
      target[at] -= a * source[first++] + b * source[second++] + c * source[third++];
  }
  for (; row < factors.length; row++) {
    const factor = factors[row];
    for (let at = start, from = row * stride; at < end; at++, from++) target[at] -= factor * source[from];
  }
}
