import { BYTE_WIDTH } from '../../core/dtype.ts';
import { countKept, zeroDropped } from '../../core/keep-mask.ts';
import { BLOCK_PARTIALS, RADIX_BINS, type SelectionKernel } from '../../core/kernel.ts';
import { PlainKernel } from '../../core/plain-kernel.ts';
import { WasmKernel } from '../../core/wasm-kernel.ts';
import type { ScoreRange } from '../../criteria/criterion.ts';
import { type PassControl, takeTurns } from './control.ts';
import { PositionedFiles } from './files.ts';
import {
  type Chunk,
  type CopyPass,
  chunksOf,
  EXPONENT_BIAS,
  EXPONENT_BINS,
  type KeyType,
  type Pass,
  type RankPass,
  type RefinePass,
  type SummarizePass,
  type WritePass,
} from './operation.ts';
import { decideRows, rowKeepMask } from './rows.ts';

export interface PassOutcome {
  /** Of `summarize` and `refine`: `RADIX_BINS` counts of the scores this thread saw. */
  readonly histogram: Float64Array | null;
  /** Of `summarize`: the first NaN or Infinity this thread saw. */
  readonly nonFinite: { readonly source: number; readonly index: number } | null;
}

const NOTHING: PassOutcome = { histogram: null, nonFinite: null };
const COPY_BYTES = 1 << 20;
const FLOAT32_EXPONENT_BIAS = 127;

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
    const histogram = new Float64Array(RADIX_BINS);
    const kernel = this.#kernel(pass.keys);
    let nonFinite: PassOutcome['nonFinite'] = null;
    let source = -1;
    const flush = () => {
      if (source >= 0) this.#addHistogram(kernel, histogram, pass.exponents.subarray(source * EXPONENT_BINS));
    };
    for (const { chunk } of this.#chunks(pass, control, files)) {
      if (chunk.source !== source) {
        flush();
        source = chunk.source;
      }
      const largest = kernel.summarize(pass.partials, chunk.block * BLOCK_PARTIALS);
      if (!Number.isFinite(largest) && nonFinite === null) {
        nonFinite = { source, index: chunk.start + kernel.firstNonFinite() };
      }
    }
    flush();
    return { histogram, nonFinite };
  }

  /** Adds the kernel's histogram to `histogram`, and to `exponents` with the bins of equal exponent put together. */
  #addHistogram(kernel: SelectionKernel, histogram: Float64Array, exponents?: Int32Array): void {
    const counts = kernel.takeHistogram();
    const [significandBits, bias] = kernel.digits === 2 ? [7, FLOAT32_EXPONENT_BIAS] : [4, EXPONENT_BIAS];
    for (let bin = 0; bin < counts.length; bin++) {
      if (counts[bin] === 0) continue;
      histogram[bin] += counts[bin];
      const field = bin >> significandBits;
      if (exponents) Atomics.add(exponents, field === 0 ? 0 : field + EXPONENT_BIAS - bias, counts[bin]);
    }
  }

  #refine(pass: RefinePass, control: PassControl, files: PositionedFiles): PassOutcome {
    const histogram = new Float64Array(RADIX_BINS);
    for (const { kernel } of this.#chunks(pass, control, files)) kernel.refine(pass.digit, pass.prefix);
    this.#addHistogram(this.#kernel(pass.keys), histogram);
    return { histogram, nonFinite: null };
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
      const { source, start, block } = chunk;
      const target = targets[source];
      const scale = 2 ** pass.scaleExponents[source];
      const weights = target && this.#weights(target, sources[source], chunk, kernel, input, files);
      let keepMask: Uint8Array;
      if (decisions.by === 'tensor') {
        keepMask = kernel.keepMask(
          decisions.thresholds[source],
          decisions.tiesKept[index],
          pass.partials,
          block,
          scale,
        );
        if (target) kernel.zeroDropped(weights === input ? 'input' : 'weights');
      } else {
        keepMask = rowKeepMask(decisions, chunk, kernel.scores, pass.partials, block, scale);
        if (target && weights) zeroDropped(weights, target.byteWidth, keepMask);
      }
      pass.kept[index] = countKept(keepMask);
      files.write(masks.path, keepMask, masks.offsets[source] + start / 8);
      if (target && weights) files.write(target.to, weights, target.offset + start * target.byteWidth);
    }
  }

  /** The chunk's weights: the scores' own bytes where the two are the same, as for magnitude, else read beside them. */
  #weights(
    target: NonNullable<WritePass['targets'][number]>,
    scores: ScoreRange,
    { start, count }: Chunk,
    kernel: SelectionKernel,
    input: Uint8Array,
    files: PositionedFiles,
  ): Uint8Array {
    if (target.from === scores.path && target.offset === scores.offset) return input;
    const weights = kernel.weights(target.byteWidth, count);
    files.read(target.from, weights, target.offset + start * target.byteWidth);
    return weights;
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
