import { Turns } from './event-loop.ts';
import { BLOCK, BLOCK_PARTIALS, RADIX_BINS, type SelectionKernel, significantDigits } from './kernel.ts';
import { bytesOf, nonFiniteInFocus, type ScoreGroups } from './score-vector.ts';
import type { Histogram, Selection, SelectionPasses } from './selection.ts';
import { type ScoreStatistics, statisticsOfBlocks, sumOf } from './statistics.ts';

/**
 * Passes over one group of scores in memory, chunk by chunk. Nothing stays in the kernel from one turn of the event loop to
 * the next, so that any number of decisions may be under way on the same kernel.
 */
export class MemoryPasses implements SelectionPasses {
  readonly keyDigits: number;
  readonly significantDigits: number;
  readonly #scores: ScoreGroups;
  readonly #group: number;
  readonly #kernel: SelectionKernel;
  readonly #sign: 'abs' | 'clamp';

  constructor(scores: ScoreGroups, group: number, kernel: SelectionKernel, sign: 'abs' | 'clamp') {
    this.keyDigits = kernel.digits;
    this.significantDigits = significantDigits(kernel, scores.dtype);
    this.#scores = scores;
    this.#group = group;
    this.#kernel = kernel;
    this.#sign = sign;
  }

  async summarize(): Promise<{ statistics: ScoreStatistics; histogram: Histogram }> {
    const { length, name } = this.#scores;
    const partials = new Float64Array(Math.ceil(length / BLOCK) * BLOCK_PARTIALS);
    const histogram = await this.#count((start) => {
      const largest = this.#kernel.summarize(partials, (start / BLOCK) * BLOCK_PARTIALS);
      if (!Number.isFinite(largest)) throw nonFiniteInFocus(this.#kernel, name(this.#group), start);
    });
    return { statistics: statisticsOfBlocks(partials, length), histogram };
  }

  refine(digit: number, prefix: number): Promise<Histogram> {
    return this.#count(() => this.#kernel.refine(digit, prefix));
  }

  /** Keep mask of the whole group, and the sum of the kept scores, scaled as the statistics are. */
  async keepMask(selection: Selection): Promise<{ keepMask: Uint8Array; keptSum: number }> {
    const { threshold, tied, tiesKept, statistics } = selection;
    const { length } = this.#scores;
    const keepMask = new Uint8Array(Math.ceil(length / 8));
    const partials = new Float64Array(Math.ceil(length / BLOCK));
    const scale = 2 ** statistics.scaleExponent;
    let tiesLeft = tiesKept === tied ? Number.POSITIVE_INFINITY : tiesKept;
    await this.#eachChunk((start) => {
      keepMask.set(this.#kernel.keepMask(threshold, tiesLeft, partials, start / BLOCK, scale), start / 8);
      if (tiesLeft > 0 && tiesKept < tied) tiesLeft -= Math.min(tiesLeft, this.#kernel.rank(threshold).tied);
    });
    return { keepMask, keptSum: sumOf(partials) };
  }

  /** A pass that gathers a histogram; `count` adds each chunk to the kernel's. */
  async #count(count: (start: number) => void): Promise<Histogram> {
    const histogram = new Float64Array(RADIX_BINS);
    await this.#eachChunk(count, () => {
      const counts = this.#kernel.takeHistogram();
      for (let bin = 0; bin < RADIX_BINS; bin++) histogram[bin] += counts[bin];
    });
    return histogram;
  }

  /** Loads chunk after chunk into the kernel for `work`, and calls `leave` before the event loop gets its turn. */
  async #eachChunk(work: (start: number) => void, leave: () => void = () => {}): Promise<void> {
    const { dtype, length } = this.#scores;
    const { capacity } = this.#kernel;
    const first = this.#group * length;
    const turns = new Turns();
    try {
      for (let start = 0; start < length; start += capacity) {
        const count = Math.min(capacity, length - start);
        this.#kernel.input(dtype, count).set(bytesOf(this.#scores, first + start, count));
        this.#kernel.load(dtype, count, this.#sign);
        work(start);
        if (turns.due(count) && start + count < length) {
          leave();
          await turns.next();
        }
      }
    } finally {
      leave();
    }
  }
}
