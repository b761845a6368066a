import { BYTE_WIDTH } from '../../../core/dtype.ts';
import { countKept, sumDroppedSquares, zeroDropped } from '../../../core/keep-mask.ts';
import { BLOCK_PARTIALS, RADIX_BINS, type SelectionKernel } from '../../../core/kernel.ts';
import { PlainKernel } from '../../../core/plain-kernel.ts';
import { selectWithin } from '../../../core/selection.ts';
import { statisticsOfBlocks } from '../../../core/statistics.ts';
import { WasmKernel } from '../../../core/wasm-kernel.ts';
import { countWithin } from '../../amount.ts';
import { type PassControl, takeTurns } from './control.ts';
import { ExponentCounter, type ExponentCounts } from './exponents.ts';
import { PositionedFiles } from './files.ts';
import {
  blocksOf,
  type Chunk,
  type CopyPass,
  chunksOf,
  KEEP_ALL,
  type KeyType,
  type Pass,
  type RankPass,
  type RefinePass,
  type SummarizePass,
  type WritePass,
} from './operation.ts';
import { rowKeepMask } from './row-mask.ts';
import { decideRows } from './rows.ts';

export interface PassOutcome {
  /** Of `summarize` and `refine`: `RADIX_BINS` counts of the scores this thread saw. */
  readonly histogram: Float64Array | null;
  /** Of `summarize`: how the scores spread that this thread saw of each source. */
  readonly exponents: readonly (readonly [source: number, counts: ExponentCounts])[];
  /** Of `summarize`: the first NaN or Infinity this thread saw. */
  readonly nonFinite: { readonly source: number; readonly index: number } | null;
}

const NOTHING: PassOutcome = { histogram: null, exponents: [], nonFinite: null };
const COPY_BYTES = 1 << 20;
/** From this many scores on their exponents are read off the histogram: taking it costs as much as going through so many. */
const LARGE_SOURCE = RADIX_BINS;
/** The kernel's counts are of 32 bits. */
const MOST_COUNTED = 2 ** 31;

/** One thread's part in a pass: a kernel, a buffer, and the chunks it gets. */
export class PassExecutor {
  readonly #kernels = new Map<KeyType, SelectionKernel>();
  readonly #copyBuffer = new Uint8Array(COPY_BYTES);

  run(pass: Pass, control: PassControl): PassOutcome {
    using files = new PositionedFiles();
    switch (pass.kind) {
      case 'summarize':
        return this.#summarize(pass, control, files);
      case 'refine':
        return this.#refine(pass, control, files);
      case 'rank':
        this.#rank(pass, control, files);
        return NOTHING;
      case 'write':
        this.#write(pass, control, files);
        return NOTHING;
      case 'decide-rows':
        decideRows(pass, control, files);
        return NOTHING;
      case 'copy':
        this.#copy(pass, control, files);
        return NOTHING;
    }
  }

  #kernel(keys: KeyType): SelectionKernel {
    let kernel = this.#kernels.get(keys);
    if (!kernel) {
      kernel = keys === 'float32' ? new WasmKernel() : new PlainKernel();
      this.#kernels.set(keys, kernel);
    }
    return kernel;
  }

  /** The chunks this thread gets, each loaded into the kernel. */
  *#chunks(
    pass: SummarizePass | RefinePass | RankPass | WritePass,
    control: PassControl,
    files: PositionedFiles,
  ): Generator<{ chunk: Chunk; index: number; kernel: SelectionKernel; input: Uint8Array }> {
    const chunks = chunksOf(pass.sources, pass.chunkElements);
    const kernel = this.#kernel(pass.keys);
    for (const index of takeTurns(chunks.length, control)) {
      const chunk = chunks[index];
      const { path, offset, dtype } = pass.sources[chunk.source];
      const input = kernel.input(dtype, chunk.count);
      files.read(path, input, offset + chunk.start * BYTE_WIDTH[dtype]);
      kernel.load(dtype, chunk.count);
      yield { chunk, index, kernel, input };
    }
  }

  #summarize(pass: SummarizePass, control: PassControl, files: PositionedFiles): PassOutcome {
    const histogram = new HistogramSum(this.#kernel(pass.keys));
    const counter = new ExponentCounter();
    const exponents: [number, ExponentCounts][] = [];
    let nonFinite: PassOutcome['nonFinite'] = null;
    let current = -1;
    const isLarge = (source: number) => source >= 0 && pass.sources[source].n >= LARGE_SOURCE;
    const change = (next: number) => {
      if (isLarge(current) || isLarge(next)) histogram.take(isLarge(current) ? counter : null);
      if (current >= 0) exponents.push([current, counter.take(pass.sources[current].dtype)]);
      current = next;
    };
    for (const { chunk, index, kernel } of this.#chunks(pass, control, files)) {
      const { source, start, count, block } = chunk;
      if (source !== current) change(source);
      const largest = kernel.summarize(pass.partials, block * BLOCK_PARTIALS);
      histogram.counted(count, isLarge(source) ? counter : null);
      if (!isLarge(source)) counter.add(kernel.scores);
      if (!Number.isFinite(largest)) nonFinite ??= { source, index: start + kernel.firstNonFinite() };
      else if (pass.decide) decideChunk(kernel, chunk, index, pass.partials, pass.decide);
    }
    change(-1);
    return { histogram: histogram.take(null), exponents, nonFinite };
  }

  #refine(pass: RefinePass, control: PassControl, files: PositionedFiles): PassOutcome {
    const histogram = new HistogramSum(this.#kernel(pass.keys));
    for (const { chunk, kernel } of this.#chunks(pass, control, files)) {
      kernel.refine(pass.digit, pass.prefix);
      histogram.counted(chunk.count, null);
    }
    return { ...NOTHING, histogram: histogram.take(null) };
  }

  #rank(pass: RankPass, control: PassControl, files: PositionedFiles): void {
    for (const { index, kernel } of this.#chunks(pass, control, files)) {
      const { above, tied } = kernel.rank(pass.threshold);
      pass.ranks.above[index] = above;
      pass.ranks.tied[index] = tied;
    }
  }

  #write(pass: WritePass, control: PassControl, files: PositionedFiles): void {
    const { decisions, targets, masks, sources } = pass;
    for (const { chunk, index, kernel, input } of this.#chunks(pass, control, files)) {
      const { source, start, count, block } = chunk;
      const scale = 2 ** pass.scaleExponents[source];
      let keepMask: Uint8Array;
      if (decisions.by === 'tensor') {
        keepMask = kernel.keepMask(
          decisions.thresholds[source],
          decisions.tiesKept[index],
          pass.partials,
          block,
          scale,
        );
      } else {
        keepMask = rowKeepMask(decisions, chunk, kernel.scores, pass.partials, block, scale);
      }
      if (pass.droppedSquares) sumDroppedSquares(kernel.scores, keepMask, scale, pass.droppedSquares, block);
      pass.kept[index] = countKept(keepMask);
      files.write(masks.path, keepMask, masks.offsets[source] + start / 8);
      const target = targets[source];
      if (target === null) continue;
      const at = target.offset + start * target.byteWidth;
      const { path, offset } = sources[source];
      // As for magnitude: the weights' own bytes are the scores.
      const areScores = target.from === path && target.offset === offset;
      const weights = areScores ? input : kernel.weights(target.byteWidth, count);
      if (!areScores) files.read(target.from, weights, at);
      if (decisions.by === 'tensor') kernel.zeroDropped(areScores ? 'input' : 'weights');
      else zeroDropped(weights, target.byteWidth, keepMask);
      files.write(target.to, weights, at);
    }
  }

  #copy({ pieces }: CopyPass, control: PassControl, files: PositionedFiles): void {
    const chunks = chunksOf(
      pieces.map(({ byteLength }) => ({ n: byteLength })),
      COPY_BYTES,
    );
    for (const index of takeTurns(chunks.length, control)) {
      const { source, start, count } = chunks[index];
      const { from, to, offset } = pieces[source];
      const bytes = this.#copyBuffer.subarray(0, count);
      files.read(from, bytes, offset + start);
      files.write(to, bytes, offset + start);
    }
  }
}

/** A kernel's histograms added up, taken from it before a count can overflow. */
class HistogramSum {
  readonly #kernel: SelectionKernel;
  readonly #bins = new Float64Array(RADIX_BINS);
  #pending = 0;

  constructor(kernel: SelectionKernel) {
    this.#kernel = kernel;
  }

  /** The kernel has counted `scores` more. */
  counted(scores: number, exponents: ExponentCounter | null): void {
    this.#pending += scores;
    if (this.#pending >= MOST_COUNTED) this.take(exponents);
  }

  /** Takes what the kernel has counted; `exponents` learns of it too. Returns all there is. */
  take(exponents: ExponentCounter | null): Float64Array {
    if (this.#pending === 0) return this.#bins;
    const counts = this.#kernel.takeHistogram();
    exponents?.addHistogram(counts, this.#kernel.digits);
    for (let bin = 0; bin < RADIX_BINS; bin++) this.#bins[bin] += counts[bin];
    this.#pending = 0;
    return this.#bins;
  }
}

/** Decides on a source that is the kernel's chunk. */
function decideChunk(
  kernel: SelectionKernel,
  { source, count, block }: Chunk,
  index: number,
  partials: Float64Array,
  decide: NonNullable<SummarizePass['decide']>,
): void {
  const own = partials.subarray(block * BLOCK_PARTIALS, (block + blocksOf(count)) * BLOCK_PARTIALS);
  const selection = selectWithin(kernel, statisticsOfBlocks(own, count), (statistics) =>
    countWithin(decide.amount, statistics),
  );
  decide.thresholds[source] = selection?.threshold ?? KEEP_ALL;
  decide.tiesKept[index] = selection?.tiesKept ?? count;
}
