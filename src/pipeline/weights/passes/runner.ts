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
  type DecideRowsPass,
  type KeyType,
  type Pass,
  type Ranks,
  type RefinePass,
  type ScorePass,
  type SummarizePass,
  sharedFloats,
  type WritePass,
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

/** What was decided of sources that are one chunk and a group each; an all-zero one is left as it is. */
export interface SmallDecisions {
  /** Per source. */
  readonly thresholds: Float64Array;
  /** How many of its scores equal to the threshold each source keeps. */
  readonly tiesKept: Float64Array;
}

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

  /** `summarize` of sources of one chunk each, every one decided on in the same pass as a group of its own. */
  async decideSmall(sources: readonly ScoreRange[], amount: Amount): Promise<Summary & SmallDecisions> {
    const decide = {
      amount,
      thresholds: sharedFloats(sources.length),
      tiesKept: sharedFloats(sources.length),
    };
    return { ...(await this.#summarize(sources, decide)), ...decide };
  }

  /** Counts of digit `digit` among the scores whose digits before it read `prefix`. */
  async refine(sources: readonly ScoreRange[], digit: number, prefix: number): Promise<Float64Array> {
    const pass: RefinePass = { kind: 'refine', ...this.#scores(sources), digit, prefix };
    return addHistograms(await this.#run(pass, byteLength(sources)));
  }

  /** How many scores of every chunk lie above and at `threshold`. */
  async rank(sources: readonly ScoreRange[], threshold: number): Promise<Ranks> {
    const chunks = chunksOf(sources, this.chunkElements).length;
    const ranks = { above: sharedFloats(chunks), tied: sharedFloats(chunks) };
    await this.#run({ kind: 'rank', ...this.#scores(sources), threshold, ranks }, byteLength(sources));
    return ranks;
  }

  async decideRows(
    sources: readonly ScoreRange[],
    options: Pick<DecideRowsPass, 'amount' | 'rows' | 'scaleExponent' | 'mass' | 'guaranteed'>,
  ): Promise<void> {
    await this.#run({ kind: 'decide-rows', ...this.#scores(sources), ...options }, byteLength(sources));
  }

  async write(
    sources: readonly ScoreRange[],
    options: Omit<WritePass, 'kind' | keyof ScorePass>,
  ): Promise<void> {
    await this.#run({ kind: 'write', ...this.#scores(sources), ...options }, byteLength(sources));
  }

  async copy(pieces: readonly CopyPiece[]): Promise<void> {
    await this.#run(
      { kind: 'copy', pieces },
      pieces.reduce((sum, piece) => sum + piece.byteLength, 0),
    );
  }

  async #summarize(sources: readonly ScoreRange[], decide: SummarizePass['decide']): Promise<Summary> {
    const blocks = sources.reduce((sum, { n }) => sum + blocksOf(n), 0);
    const pass: SummarizePass = {
      kind: 'summarize',
      ...this.#scores(sources),
      partials: sharedFloats(blocks * BLOCK_PARTIALS),
      decide,
    };
    const outcomes = await this.#run(pass, byteLength(sources));
    refuseNonFinite(outcomes, sources);
    const all = new BlockAccumulator();
    let offset = 0;
    const bySource = sources.map(({ n }) => {
      const own = pass.partials.subarray(offset, offset + blocksOf(n) * BLOCK_PARTIALS);
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

  #scores(sources: readonly ScoreRange[]) {
    return { sources, keys: keyType(sources), chunkElements: this.chunkElements };
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
    `a score of ${name} is NaN or infinite, at flat index ${first.index}`,
    [{ path: `/${name}/${first.index}`, message: 'expected a finite number' }],
  );
}
