import { BLOCK } from '../../../core/kernel.ts';
import type { ScoreRange } from '../../../criteria/context.ts';
import type { RowLayout } from '../../../formats/model.ts';
import type { Amount } from '../../amount.ts';

/** Where a tensor's weights are read and the pruned ones written. Both files have the same bytes around it. */
export interface WeightTarget {
  readonly from: string;
  readonly to: string;
  readonly offset: number;
  readonly byteWidth: 2 | 4 | 8;
}

/** A stretch of one file to appear at the same offset of another. */
export interface CopyPiece {
  readonly from: string;
  readonly to: string;
  readonly offset: number;
  readonly byteLength: number;
}

/** Float32 keys go through the SIMD kernel; a group with float64 scores through the plain one. */
export type KeyType = 'float32' | 'float64';

export interface ScorePass {
  readonly keys: KeyType;
  readonly sources: readonly ScoreRange[];
  /** Elements read at a time, a multiple of BLOCK. Any value gives the same results. */
  readonly chunkElements: number;
}

/** Sums per block, the digit-0 histogram, and how many scores of each source fall into each power of two. */
export interface SummarizePass extends ScorePass {
  readonly kind: 'summarize';
  /** `[max, sum, sumOfSquares]` per block, all sources back to back. */
  readonly partials: Float64Array<SharedArrayBuffer>;
  /** Given where every source is one chunk and a group of its own: it is decided on while it is in the kernel. */
  readonly decide: {
    readonly amount: Amount;
    readonly thresholds: Float64Array<SharedArrayBuffer>;
    readonly tiesKept: Float64Array<SharedArrayBuffer>;
  } | null;
}

export interface RefinePass extends ScorePass {
  readonly kind: 'refine';
  readonly digit: number;
  readonly prefix: number;
}

/** Scores above and equal to a threshold, per chunk, the chunks of all sources in order. */
export interface Ranks {
  readonly above: Float64Array<SharedArrayBuffer>;
  readonly tied: Float64Array<SharedArrayBuffer>;
}

export interface RankPass extends ScorePass {
  readonly kind: 'rank';
  readonly threshold: number;
  readonly ranks: Ranks;
}

/** Keep masks written to `masks`, and where there is a target the weights with the dropped ones zeroed. */
export interface WritePass extends ScorePass {
  readonly kind: 'write';
  readonly decisions: TensorDecisions | RowDecisions;
  readonly masks: { readonly path: string; readonly offsets: readonly number[] };
  readonly targets: readonly (WeightTarget | null)[];
  /** Exponent of the power of two by which each source's kept sums are scaled. */
  readonly scaleExponents: readonly number[];
  /** Kept sum per block. */
  readonly partials: Float64Array<SharedArrayBuffer>;
  /** Sum of the squares of the dropped scores per block, likewise scaled; null where nobody asks for it. */
  readonly droppedSquares: Float64Array<SharedArrayBuffer> | null;
  /** Kept elements per chunk. */
  readonly kept: Float64Array<SharedArrayBuffer>;
}

/** Threshold of a tensor or row that is left as it is: every score is above it. */
export const KEEP_ALL = -1;

/** What was decided of whole tensors. */
export interface TensorDecisions {
  readonly by: 'tensor';
  /** Per source. */
  readonly thresholds: Float64Array;
  /** Per chunk: how many of its scores equal to the threshold are kept. */
  readonly tiesKept: Float64Array;
}

/** What was decided of every row, all sources' rows back to back, source i's from `firstRow[i]` on. */
export interface RowDecisions {
  readonly by: 'row';
  readonly layouts: readonly RowLayout[];
  readonly firstRow: readonly number[];
  /** Kept: above it, or equal to it and at a position in the row below `tieEnd`. Negative where an all-zero row is left as it is. */
  readonly threshold: Float64Array<SharedArrayBuffer>;
  readonly tieEnd: Uint32Array<SharedArrayBuffer>;
}

/** EMP within each row, in memory. */
export interface DecideRowsPass extends ScorePass {
  readonly kind: 'decide-rows';
  readonly amount: Amount;
  readonly rows: RowDecisions;
  /** Exponent of the power of two by which masses are scaled. */
  readonly scaleExponent: number;
  /** Sums of the scores per group of `rowGroups`, and what of them is guaranteed to be kept. */
  readonly mass: Float64Array<SharedArrayBuffer>;
  readonly guaranteed: Float64Array<SharedArrayBuffer>;
}

export interface CopyPass {
  readonly kind: 'copy';
  readonly pieces: readonly CopyPiece[];
}

export type Pass = SummarizePass | RefinePass | RankPass | WritePass | DecideRowsPass | CopyPass;

/** Part of one source that a thread works on at a time. */
export interface Chunk {
  readonly source: number;
  readonly start: number;
  readonly count: number;
  /** Index of its first block among the blocks of all sources. */
  readonly block: number;
}

export function blocksOf(n: number): number {
  return Math.ceil(n / BLOCK);
}

/** The chunks of all sources, in order. Threads take them in turn. */
export function chunksOf(sources: readonly { readonly n: number }[], chunkElements: number): Chunk[] {
  const chunks: Chunk[] = [];
  let firstBlock = 0;
  sources.forEach(({ n }, source) => {
    for (let start = 0; start < n; start += chunkElements) {
      chunks.push({
        source,
        start,
        count: Math.min(chunkElements, n - start),
        block: firstBlock + start / BLOCK,
      });
    }
    firstBlock += blocksOf(n);
  });
  return chunks;
}

export function sharedFloats(length: number): Float64Array<SharedArrayBuffer> {
  return new Float64Array(new SharedArrayBuffer(length * 8));
}
