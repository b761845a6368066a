import { BYTE_WIDTH, type FloatDtype } from './dtype.ts';
import { type Address, createInstance, type KernelExports } from './kernel/kernel-module.ts';
import {
  BLOCK,
  BLOCK_PARTIALS,
  DEFAULT_CAPACITY,
  RADIX_BINS,
  type RankCount,
  type SelectionKernel,
  type TopSelection,
} from './kernel.ts';

/** Room after a buffer for loops that read and write whole vectors. */
const SLACK_BYTES = 64;

/**
 * The selection kernel in WebAssembly SIMD, for float16, bfloat16 and float32 scores. Each instance has a memory of its
 * own: 1.3 MiB, and 16 bytes an element of which only what is used becomes resident (4 for float32 scores that are the
 * weights themselves).
 */
export class WasmKernel implements SelectionKernel {
  readonly digits = 2;
  readonly capacity: number;

  readonly #wasm: KernelExports;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #doubles: Float64Array;
  readonly #result: Uint32Array;
  readonly #folded: Uint32Array;
  readonly #partials: Address;
  readonly #mask: Address;
  readonly #input: Address;
  readonly #widened: Address;
  readonly #weights: Address;

  #dtype: FloatDtype = 'float32';
  #weightWidth = 4;
  #histogramIsSigned = true;
  /** The chunk's scores as float32, and the focus within them. */
  #loaded: Address = 0;
  #start = 0;
  #count = 0;

  /** @param capacity most elements of a chunk, a multiple of BLOCK and at most 2^27 */
  constructor(capacity: number = DEFAULT_CAPACITY) {
    if (!(capacity > 0 && capacity <= 2 ** 27 && capacity % BLOCK === 0)) {
      throw new RangeError(`kernel capacity ${capacity} is not a multiple of ${BLOCK} up to 2^27`);
    }
    this.capacity = capacity;
    const partialsBytes = (capacity / BLOCK) * BLOCK_PARTIALS * 8;
    this.#wasm = createInstance(partialsBytes + capacity / 8 + capacity * 16 + 3 * SLACK_BYTES);
    this.#partials = this.#wasm.HEAP.value;
    this.#mask = this.#partials + partialsBytes;
    this.#input = this.#mask + capacity / 8 + SLACK_BYTES;
    this.#widened = this.#input + capacity * 4 + SLACK_BYTES;
    this.#weights = this.#widened + capacity * 4 + SLACK_BYTES;
    const { buffer } = this.#wasm.memory;
    this.#bytes = new Uint8Array(buffer);
    this.#doubles = new Float64Array(buffer, this.#partials, (capacity / BLOCK) * BLOCK_PARTIALS);
    this.#result = new Uint32Array(buffer, this.#wasm.RESULT.value, 2);
    this.#folded = new Uint32Array(buffer, this.#wasm.FOLDED.value, RADIX_BINS);
  }

  input(dtype: FloatDtype, count: number): Uint8Array {
    if (dtype === 'float64') throw new RangeError('float64 scores need the plain kernel');
    return this.#room(this.#input, count, BYTE_WIDTH[dtype]);
  }

  load(dtype: FloatDtype, count: number, sign: 'abs' | 'clamp' = 'abs'): void {
    this.#dtype = dtype;
    this.#loaded = dtype === 'float32' ? this.#input : this.#widened;
    if (dtype === 'bfloat16') this.#wasm.widenBfloat16(this.#input, this.#widened, count);
    if (dtype === 'float16') this.#wasm.widenFloat16(this.#input, this.#widened, count);
    if (sign === 'clamp') this.#wasm.clampNegative(this.#loaded, count);
    this.focus(0, count);
  }

  get scores(): Float32Array {
    return new Float32Array(this.#bytes.buffer, this.#focus, this.#count);
  }

  focus(start: number, count: number): void {
    this.#start = start;
    this.#count = count;
  }

  weights(byteWidth: 2 | 4 | 8, count: number): Uint8Array {
    this.#weightWidth = byteWidth;
    return this.#room(this.#weights, count, byteWidth);
  }

  statistics(partials: Float64Array, partialsOffset: number): number {
    return this.#summarize(partials, partialsOffset, false);
  }

  summarize(partials: Float64Array, partialsOffset: number): number {
    this.#histogramIsSigned = true;
    return this.#summarize(partials, partialsOffset, true);
  }

  refine(_digit: number, prefix: number): void {
    this.#histogramIsSigned = false;
    this.#wasm.refine(this.#focus, this.#count, prefix);
  }

  takeHistogram(): Uint32Array {
    this.#wasm.fold(this.#histogramIsSigned);
    return this.#folded;
  }

  selectTop(keep: number): TopSelection {
    if (!(keep >= 1 && keep <= this.#count)) throw new RangeError(`${keep} of ${this.#count} scores`);
    const threshold = toScore(this.#wasm.selectTop(this.#focus, this.#count, keep));
    return { threshold, tied: this.#result[0], tiesKept: this.#result[1] };
  }

  rank(threshold: number): RankCount {
    this.#wasm.rank(this.#focus, this.#count, toKey(threshold));
    return { above: this.#result[0], tied: this.#result[1] };
  }

  keepMask(
    threshold: number,
    tiesKept: number,
    partials: Float64Array,
    partialsOffset: number,
    scale: number,
  ): Uint8Array {
    const ties = Math.min(tiesKept, this.#count);
    this.#wasm.keepMask(this.#focus, this.#count, toKey(threshold), ties, this.#mask, this.#partials);
    const blocks = Math.ceil(this.#count / BLOCK);
    for (let i = 0; i < blocks; i++) partials[partialsOffset + i] = this.#doubles[i] * scale;
    return this.#bytes.subarray(this.#mask, this.#mask + Math.ceil(this.#count / 8));
  }

  zeroDropped(where: 'input' | 'weights'): void {
    const base = where === 'input' ? this.#input : this.#weights;
    const width = where === 'input' ? BYTE_WIDTH[this.#dtype] : this.#weightWidth;
    const first = base + this.#start * width;
    if (width === 2) this.#wasm.zeroDropped16(first, this.#count, this.#mask);
    else if (width === 4) this.#wasm.zeroDropped32(first, this.#count, this.#mask);
    else this.#wasm.zeroDropped64(first, this.#count, this.#mask);
  }

  firstNonFinite(): number {
    const index = this.#wasm.firstNonFinite(this.#focus, this.#count);
    return index < this.#count ? index : -1;
  }

  get #focus(): Address {
    return this.#loaded + this.#start * 4;
  }

  #room(base: Address, count: number, width: number): Uint8Array {
    if (count > this.capacity) throw new RangeError(`${count} elements in a kernel for ${this.capacity}`);
    return this.#bytes.subarray(base, base + count * width);
  }

  #summarize(partials: Float64Array, partialsOffset: number, counting: boolean): number {
    const largest = this.#wasm.summarize(this.#focus, this.#count, this.#partials, counting);
    const length = Math.ceil(this.#count / BLOCK) * BLOCK_PARTIALS;
    for (let i = 0; i < length; i++) partials[partialsOffset + i] = this.#doubles[i];
    return largest;
  }
}

const float = new Float32Array(1);
const floatBits = new Int32Array(float.buffer);

function toKey(score: number): number {
  float[0] = score;
  return floatBits[0];
}

function toScore(key: number): number {
  floatBits[0] = key;
  return float[0];
}
