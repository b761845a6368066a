import type { Floats } from './model-metrics.ts';

/** Of a sample so many numbers are followed at most, evenly spaced: what they vary by stands for all. */
const MOST_PLACES = 2 ** 16;
/** Deviations below this share of the numbers themselves are what float32 rounds. */
const ROUNDING = 1e-5;
/** A standard deviation of less than a hundredth of the dense model's is none. */
const VANISHED = 1e-4;

/** How much of what the dense model's outputs vary by is left. */
export interface VarianceFigures {
  /** Variance over samples, as a share of the dense model's; null where that does not vary, or it is not finite. */
  readonly kept: number | null;
  /** R2 against the dense model: 1 for the same outputs, 0 for its mean. Null also where models are not compared output by output. */
  readonly explained: number | null;
}

/** Whether a pruned model gives the same whatever comes in. */
export interface Constancy {
  /** Whether it predicts, or puts out, the same everywhere, and the dense one does not. */
  readonly isConstant: boolean;
  readonly variance: VarianceFigures;
}

export const VARIES: Constancy = { isConstant: false, variance: { kept: null, explained: null } };

/** How far a model's numbers are from their mean over samples, each place of a sample by itself, in float64. */
export class OutputSpread {
  /** Numbers of a sample from one that is followed to the next. */
  readonly step: number;
  readonly #first: Float64Array;
  readonly #counts: Float64Array;
  readonly #sums: Float64Array;
  readonly #squares: Float64Array;
  #norm = 0;

  /** @param size numbers of a sample */
  constructor(size: number) {
    this.step = Math.max(1, Math.ceil(size / MOST_PLACES));
    const followed = Math.ceil(size / this.step);
    this.#first = new Float64Array(followed);
    this.#counts = new Float64Array(followed);
    this.#sums = new Float64Array(followed);
    this.#squares = new Float64Array(followed);
  }

  /** Numbers from `offset` on that stand in a sample from `place` on; of places beyond the size nothing is noted. */
  add(numbers: Floats, offset: number, count: number, place = 0): void {
    const start = Math.ceil(place / this.step) * this.step;
    for (let at = start; at < place + count; at += this.step)
      this.#addAt(at / this.step, numbers[offset + at - place]);
  }

  /** Squared, summed over samples and places. */
  get deviations(): number {
    return this.#counts.reduce(
      (sum, n, i) => (n === 0 ? sum : sum + Math.max(0, this.#squares[i] - this.#sums[i] ** 2 / n)),
      0,
    );
  }

  /** Whether the deviations are more than what rounding makes. */
  get isVaried(): boolean {
    return this.deviations > ROUNDING ** 2 * this.#norm;
  }

  /** Relative to the first, so that a large mean takes no digits from the sum of squares. */
  #addAt(followed: number, number: number): void {
    if (followed >= this.#counts.length) return;
    if (this.#counts[followed]++ === 0) this.#first[followed] = number;
    const from = number - this.#first[followed];
    this.#sums[followed] += from;
    this.#squares[followed] += from * from;
    this.#norm += number * number;
  }
}

/** The spread of a pruned model's outputs as a share of the dense model's. */
export function varianceKept(pruned: OutputSpread | null, dense: OutputSpread | null): number | null {
  if (pruned === null || !dense?.isVaried) return null;
  const share = pruned.deviations / dense.deviations;
  return Number.isFinite(share) ? share : null;
}

/** Whether outputs have come to depend on the inputs no more. */
export function isVanished({ kept }: VarianceFigures): boolean {
  return kept !== null && kept < VANISHED;
}

/** The spreads of both models' outputs, and the distance between them. */
export class PairedSpread {
  #dense: OutputSpread | null = null;
  #pruned: OutputSpread | null = null;
  #distance = 0;

  /** Of one sample, `size` numbers from `offset` on. */
  add(dense: Floats, pruned: Floats, offset: number, size: number): void {
    this.#dense ??= new OutputSpread(size);
    this.#pruned ??= new OutputSpread(size);
    this.#dense.add(dense, offset, size);
    this.#pruned.add(pruned, offset, size);
    for (let i = offset; i < offset + size; i += this.#dense.step)
      this.#distance += (pruned[i] - dense[i]) ** 2;
  }

  get figures(): VarianceFigures {
    const kept = varianceKept(this.#pruned, this.#dense);
    const explained = kept === null ? Number.NaN : 1 - this.#distance / (this.#dense?.deviations ?? 0);
    return { kept, explained: Number.isFinite(explained) ? explained : null };
  }
}

/** Each the least of several outputs, of those that have it. */
export function leastVariance(all: readonly VarianceFigures[]): VarianceFigures {
  return {
    kept: leastOf(all.map(({ kept }) => kept)),
    explained: leastOf(all.map(({ explained }) => explained)),
  };
}

function leastOf(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length > 0 ? Math.min(...known) : null;
}
