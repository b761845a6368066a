/** How many weights of either side are looked at in pairs: with all of them the error ends less than a percent lower, after a hundred times as long. */
const CANDIDATES = 16;
/** Of a row; most take 10 to 50. */
const MAX_SWAPS = 100;
/** Of the error at the start: what lowers it by less may be rounding. */
const LEAST_GAIN = 1e-12;

/**
 * Exchanges weights that a row keeps for others, one for one, as long as that lowers the error `E = r' G r`, r the weights `w` that are not kept (SparseSwaps). With `c = G r` an exchange of i for j changes it by `a_i + b_j - 2 w_i w_j G_ij`, `a_i = 2 w_i c_i + w_i^2 G_ii` and
 * `b_j = -2 w_j c_j + w_j^2 G_jj`; of the 16 lowest of each, equal ones by index, the best pair is taken, 100 times at most. A weight of 0 never comes in. An exchange takes time in proportion to n.
 * @param weights `[n]`
 * @param kept `[n]`, 1 or 0; afterwards there are as many of each
 * @param gram G, `[n, n]`, symmetric
 * @param shift c, `[n]`; follows `kept`
 * @returns the number of exchanges
 */
export function swapRow(
  weights: Float64Array,
  kept: Uint8Array,
  gram: Float64Array,
  shift: Float64Array,
): number {
  const n = weights.length;
  const squares = weights.map((weight, i) => weight * weight * gram[i * n + i]);
  const error = weights.reduce((sum, weight, i) => (kept[i] === 1 ? sum : sum + weight * shift[i]), 0);
  const [going, coming] = [new Lowest(), new Lowest()];
  for (let swaps = 0; swaps < MAX_SWAPS; swaps++) {
    going.clear();
    coming.clear();
    for (let i = 0; i < n; i++) {
      const product = 2 * weights[i] * shift[i];
      if (kept[i] === 1) going.offer(i, squares[i] + product);
      else if (weights[i] !== 0) coming.offer(i, squares[i] - product);
    }
    let least = -LEAST_GAIN * Math.abs(error);
    let out = -1;
    let into = -1;
    for (let a = 0; a < going.count; a++) {
      const i = going.indices[a];
      for (let b = 0; b < coming.count; b++) {
        const j = coming.indices[b];
        const change = going.values[a] + coming.values[b] - 2 * weights[i] * weights[j] * gram[i * n + j];
        if (!(change < least)) continue;
        least = change;
        out = i;
        into = j;
      }
    }
    if (out < 0) return swaps;
    kept[out] = 0;
    kept[into] = 1;
    addTimes(shift, weights[out], gram.subarray(out * n, (out + 1) * n));
    addTimes(shift, -weights[into], gram.subarray(into * n, (into + 1) * n));
  }
  return MAX_SWAPS;
}

function addTimes(sums: Float64Array, factor: number, numbers: Float64Array): void {
  for (let i = 0; i < sums.length; i++) sums[i] += factor * numbers[i];
}

/** The lowest of what is offered, in order; of equal ones those that came first. */
class Lowest {
  readonly values = new Float64Array(CANDIDATES);
  readonly indices = new Int32Array(CANDIDATES);
  count = 0;
  #limit = Number.POSITIVE_INFINITY;

  clear(): void {
    this.count = 0;
    this.#limit = Number.POSITIVE_INFINITY;
  }

  offer(index: number, value: number): void {
    if (value < this.#limit) this.#insert(index, value);
  }

  #insert(index: number, value: number): void {
    const { values, indices } = this;
    if (this.count < CANDIDATES) this.count++;
    let at = this.count - 1;
    for (; at > 0 && value < values[at - 1]; at--) {
      values[at] = values[at - 1];
      indices[at] = indices[at - 1];
    }
    values[at] = value;
    indices[at] = index;
    if (this.count === CANDIDATES) this.#limit = values[CANDIDATES - 1];
  }
}
