import { BYTE_WIDTH, type FloatDtype } from './dtype.ts';
import { widen } from './float-format.ts';
import {
  BLOCK,
  BLOCK_PARTIALS,
  DEFAULT_CAPACITY,
  RADIX_BINS,
  type RankCount,
  type SelectionKernel,
  type TopSelection,
} from './kernel.ts';
import { scaleExponent } from './statistics.ts';

/**
 * The selection kernel in TypeScript, for scores of any dtype: the obvious loops that `WasmKernel` must agree with, and the
 * only one for float64 scores. Keys are the 63 bits of a float64 without its sign.
 */
export class PlainKernel implements SelectionKernel {
  readonly digits = 4;
  readonly capacity: number;

  readonly #input: ArrayBuffer;
  readonly #widened: Float64Array;
  /** The two halves of each score's bit pattern, the lower first. */
  readonly #halves: Uint32Array;
  readonly #keepMask: Uint8Array;
  #weights = new Uint8Array(0);
  #weightWidth = 8;
  #dtype: FloatDtype = 'float64';
  /** Made when something is counted: many kernels are small, and only sum. */
  #histogram: Uint32Array<ArrayBuffer> | null = null;
  #start = 0;
  #count = 0;

  /** @param capacity most elements of a chunk, a multiple of BLOCK */
  constructor(capacity: number = DEFAULT_CAPACITY) {
    if (!(capacity > 0 && capacity % BLOCK === 0)) {
      throw new RangeError(`kernel capacity ${capacity} is not a multiple of ${BLOCK}`);
    }
    this.capacity = capacity;
    this.#input = new ArrayBuffer(capacity * 8);
    this.#widened = new Float64Array(capacity);
    this.#halves = new Uint32Array(this.#widened.buffer);
    this.#keepMask = new Uint8Array(capacity / 8);
  }

  input(dtype: FloatDtype, count: number): Uint8Array {
    if (count > this.capacity) throw new RangeError(`${count} elements in a kernel for ${this.capacity}`);
    return new Uint8Array(this.#input, 0, count * BYTE_WIDTH[dtype]);
  }

  load(dtype: FloatDtype, count: number, sign: 'abs' | 'clamp' = 'abs'): void {
    this.#dtype = dtype;
    widen(new Uint8Array(this.#input), dtype, this.#widened.subarray(0, count));
    if (sign === 'clamp') {
      for (let i = 0; i < count; i++) {
        if (this.#widened[i] < 0 && this.#widened[i] !== Number.NEGATIVE_INFINITY) this.#widened[i] = 0;
      }
    }
    this.focus(0, count);
  }

  get scores(): Float64Array {
    return this.#widened.subarray(this.#start, this.#start + this.#count);
  }

  focus(start: number, count: number): void {
    this.#start = start;
    this.#count = count;
  }

  weights(byteWidth: 2 | 4 | 8, count: number): Uint8Array {
    if (count > this.capacity) throw new RangeError(`${count} elements in a kernel for ${this.capacity}`);
    if (this.#weights.byteLength === 0) this.#weights = new Uint8Array(this.capacity * 8);
    this.#weightWidth = byteWidth;
    return this.#weights.subarray(0, count * byteWidth);
  }

  statistics(partials: Float64Array, partialsOffset: number): number {
    const { scores } = this;
    let largest = 0;
    let at = partialsOffset;
    for (let first = 0; first < scores.length; first += BLOCK) {
      const block = scores.subarray(first, first + BLOCK);
      const max = maxAbs(block);
      const scale = 2 ** scaleExponent(max);
      const sums = new Float64Array(8);
      const sumsOfSquares = new Float64Array(8);
      for (let i = 0; i < block.length; i++) {
        const score = Math.abs(block[i]) * scale;
        sums[i % 8] += score;
        sumsOfSquares[i % 8] += score * score;
      }
      partials[at] = max;
      partials[at + 1] = addLanes(sums);
      partials[at + 2] = addLanes(sumsOfSquares);
      at += BLOCK_PARTIALS;
      if (max > largest || Number.isNaN(max)) largest = max;
    }
    return largest;
  }

  summarize(partials: Float64Array, partialsOffset: number): number {
    this.refine(0, 0);
    return this.statistics(partials, partialsOffset);
  }

  refine(digit: number, prefix: number): void {
    const halves = this.#halves;
    this.#histogram ??= new Uint32Array(RADIX_BINS);
    const histogram = this.#histogram;
    const end = 2 * (this.#start + this.#count);
    for (let i = 2 * this.#start; i < end; i += 2) {
      const upper = halves[i + 1] & 0x7fffffff;
      const lower = halves[i];
      if (digit === 0) histogram[upper >>> 16]++;
      else if (digit === 1 && upper >>> 16 === prefix) histogram[upper & 0xffff]++;
      else if (digit === 2 && upper === prefix) histogram[lower >>> 16]++;
      else if (digit === 3 && upper * 65536 + (lower >>> 16) === prefix) histogram[lower & 0xffff]++;
    }
  }

  takeHistogram(): Uint32Array {
    const taken = this.#histogram ?? new Uint32Array(RADIX_BINS);
    this.#histogram = null;
    return taken;
  }

  selectTop(keep: number): TopSelection {
    if (!(keep >= 1 && keep <= this.#count)) throw new RangeError(`${keep} of ${this.#count} scores`);
    // Bit by bit from the top: those with the bit set go to the front, and either they or the others can be left out.
    const candidates = this.scores.map(Math.abs);
    const least = new Float64Array(1);
    const halves = new Uint32Array(least.buffer);
    let first = 0;
    let end = candidates.length;
    let wanted = keep;
    for (let bit = 62; bit >= 0; bit--) {
      halves[bit >> 5] ^= 1 << (bit & 31);
      const [limit] = least;
      let middle = first;
      for (let i = first; i < end; i++) {
        const score = candidates[i];
        if (!(score >= limit)) continue;
        candidates[i] = candidates[middle];
        candidates[middle++] = score;
      }
      if (middle - first >= wanted) {
        end = middle;
      } else {
        wanted -= middle - first;
        first = middle;
        halves[bit >> 5] ^= 1 << (bit & 31);
      }
    }
    return { threshold: least[0], tied: end - first, tiesKept: wanted };
  }

  rank(threshold: number): RankCount {
    let above = 0;
    let tied = 0;
    for (const score of this.scores) {
      if (Math.abs(score) > threshold) above++;
      else if (Math.abs(score) === threshold) tied++;
    }
    return { above, tied };
  }

  keepMask(
    threshold: number,
    tiesKept: number,
    partials: Float64Array,
    partialsOffset: number,
    scale: number,
  ): Uint8Array {
    const { scores } = this;
    const keepMask = this.#keepMask.subarray(0, Math.ceil(scores.length / 8)).fill(0);
    let tiesLeft = tiesKept;
    let at = partialsOffset;
    for (let first = 0; first < scores.length; first += BLOCK) {
      const sums = new Float64Array(8);
      const end = Math.min(first + BLOCK, scores.length);
      for (let i = first; i < end; i++) {
        const score = Math.abs(scores[i]);
        if (score > threshold || (score === threshold && tiesLeft-- > 0)) {
          keepMask[i >> 3] |= 1 << (i & 7);
          sums[i % 8] += score * scale;
        }
      }
      partials[at++] = addLanes(sums);
    }
    return keepMask;
  }

  zeroDropped(where: 'input' | 'weights'): void {
    const bytes = where === 'input' ? new Uint8Array(this.#input) : this.#weights;
    const width = where === 'input' ? BYTE_WIDTH[this.#dtype] : this.#weightWidth;
    for (let i = 0; i < this.#count; i++) {
      if (this.#keepMask[i >> 3] & (1 << (i & 7))) continue;
      const at = (this.#start + i) * width;
      bytes.fill(0, at, at + width);
    }
  }

  firstNonFinite(): number {
    return this.scores.findIndex((score) => !Number.isFinite(score));
  }
}

/** Largest absolute value; NaN where there is one. */
function maxAbs(scores: Float64Array): number {
  let max = 0;
  for (const score of scores) {
    const magnitude = Math.abs(score);
    if (magnitude > max || Number.isNaN(magnitude)) max = magnitude;
  }
  return max;
}

function addLanes(l: Float64Array): number {
  return l[0] + l[2] + (l[4] + l[6]) + (l[1] + l[3] + (l[5] + l[7]));
}
