import { BYTE_WIDTH } from '../../../core/dtype.ts';
import { EmpError } from '../../../core/errors.ts';
import { BLOCK_PARTIALS, RADIX_BINS, significantDigits } from '../../../core/kernel.ts';
import { BlockAccumulator, type ScoreStatistics, statisticsOfBlocks } from '../../../core/statistics.ts';
import type { ScoreRange } from '../../../criteria/context.ts';
import type { Amount } from '../../amount.ts';
import type { Progress } from '../../progress.ts';
import type { PassOutcome } from './executor.ts';
import { type ExponentCounts, mergeExponents } from './exponents.ts';
import {
  blocksOf,
  type CopyPiece,
  chunksOf,
  type KeyType,
  type Pass,
  type Ranks,
  type ScorePass,
  type SummarizePass,
  sharedFloats,
} from './operation.ts';
import type { PassThreads } from './threads.ts';

export interface Summary {
  readonly statistics: ScoreStatistics;
  /** Of each source on its own. */
  readonly bySource: readonly ScoreStatistics[];
  /** Digit-0 counts over all sources. */
  readonly histogram: Float64Array;
  /** Of each source. */
  readonly exponents: readonly ExponentCounts[];
}

/** What is said of a pass over scores beside them. */
type ScoreWork<P> = P extends ScorePass ? Omit<P, keyof ScorePass> : never;

interface RunnerOptions {
  readonly threads: PassThreads;
  readonly signal: AbortSignal;
  readonly progress: Progress;
  /** Elements read at a time, a multiple of BLOCK within the kernels' capacity. */
  readonly chunkElements: number;
}

/** Runs passes over files for one job, and puts together what the threads gathered, in an order that no thread changes. */
export class PassRunner {
  readonly #options: RunnerOptions;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  get chunkElements(): number {
    return this.#options.chunkElements;
  }

  /** Statistics and digit-0 histogram. Throws `non_finite_score` naming tensor and flat index. */
  summarize(sources: readonly ScoreRange[]): Promise<Summary> {
    return this.#summarize(sources, null);
  }

  /** `summarize` of sources of one chunk each, every one decided on in the same pass as a group of its own; an all-zero one is left as it is. */
  async decideSmall(sources: readonly ScoreRange[], amount: Amount) {
    const decide = {
      amount,
      thresholds: sharedFloats(sources.length),
      tiesKept: sharedFloats(sources.length),
    };
    return { ...(await this.#summarize(sources, decide)), ...decide };
  }

  /** Counts of digit `digit` among the scores whose digits before it read `prefix`. */
  async refine(sources: readonly ScoreRange[], digit: number, prefix: number): Promise<Float64Array> {
    return addHistograms(await this.run(sources, { kind: 'refine', digit, prefix }));
  }

  /** How many scores of every chunk lie above and at `threshold`. */
  async rank(sources: readonly ScoreRange[], threshold: number): Promise<Ranks> {
    const chunks = chunksOf(sources, this.chunkElements).length;
    const ranks = { above: sharedFloats(chunks), tied: sharedFloats(chunks) };
    await this.run(sources, { kind: 'rank', threshold, ranks });
    return ranks;
  }

  /** Any pass over scores; what it finds is in the outcomes, or in the arrays that it was given. */
  run(sources: readonly ScoreRange[], work: ScoreWork<Pass>): Promise<PassOutcome[]> {
    const keys = keyType(sources);
    return this.#run({ sources, keys, chunkElements: this.chunkElements, ...work }, byteLength(sources));
  }

  async copy(pieces: readonly CopyPiece[]): Promise<void> {
    await this.#run(
      { kind: 'copy', pieces },
      pieces.reduce((sum, piece) => sum + piece.byteLength, 0),
    );
  }

  async #summarize(sources: readonly ScoreRange[], decide: SummarizePass['decide']): Promise<Summary> {
    const blocks = sources.reduce((sum, { n }) => sum + blocksOf(n), 0);
    const partials = sharedFloats(blocks * BLOCK_PARTIALS);
    const outcomes = await this.run(sources, { kind: 'summarize', partials, decide });
    refuseNonFinite(outcomes, sources);
    const all = new BlockAccumulator();
    let offset = 0;
    const bySource = sources.map(({ n }) => {
      const own = partials.subarray(offset, offset + blocksOf(n) * BLOCK_PARTIALS);
      offset += own.length;
      all.addBlocks(own, n);
      return statisticsOfBlocks(own, n);
    });
    return {
      statistics: all.statistics,
      bySource,
      histogram: addHistograms(outcomes),
      exponents: addExponents(outcomes, sources.length),
    };
  }

  async #run(pass: Pass, bytes: number): Promise<PassOutcome[]> {
    const { threads, signal, progress } = this.#options;
    const outcomes = await threads.run(pass, signal, (share) => progress.peek(share * bytes));
    progress.advance(bytes);
    return outcomes;
  }
}

/** The kernel's radix digits for a group, and how many of them its scores can use. */
export function keyDigits(group: readonly ScoreRange[]): { keyDigits: number; significantDigits: number } {
  const digits = keyType(group) === 'float32' ? 2 : 4;
  return {
    keyDigits: digits,
    significantDigits: group.reduce(
      (most, { dtype }) => Math.max(most, significantDigits({ digits }, dtype)),
      0,
    ),
  };
}

function keyType(sources: readonly ScoreRange[]): KeyType {
  return sources.some(({ dtype }) => dtype === 'float64') ? 'float64' : 'float32';
}

function byteLength(sources: readonly ScoreRange[]): number {
  return sources.reduce((sum, { n, dtype }) => sum + n * BYTE_WIDTH[dtype], 0);
}

function addHistograms(outcomes: readonly PassOutcome[]): Float64Array {
  const total = new Float64Array(RADIX_BINS);
  for (const { histogram } of outcomes) {
    if (histogram) for (let bin = 0; bin < RADIX_BINS; bin++) total[bin] += histogram[bin];
  }
  return total;
}

function addExponents(outcomes: readonly PassOutcome[], sources: number): ExponentCounts[] {
  const total = Array.from({ length: sources }, (): ExponentCounts => ({ log2Min: 0, counts: [], zero: 0 }));
  for (const { exponents } of outcomes) {
    for (const [source, counts] of exponents) total[source] = mergeExponents(total[source], counts);
  }
  return total;
}

function refuseNonFinite(outcomes: readonly PassOutcome[], sources: readonly ScoreRange[]): void {
  const [first] = outcomes
    .flatMap(({ nonFinite }) => nonFinite ?? [])
    .sort((a, b) => a.source - b.source || a.index - b.index);
  if (!first) return;
  const { name } = sources[first.source];
  throw new EmpError(
    'non_finite_score',
    `a score of ${name} is NaN or infinite, at flat index ${first.index}: mend the weight, or what it is scored by, or leave the tensor out with exclude`,
    [{ path: `/${name}/${first.index}`, message: 'expected a finite number' }],
  );
}
