import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { BYTE_WIDTH, isFloatDtype } from '../core/dtype.ts';
import { widen } from '../core/float-format.ts';
import { type ByteSource, bytesSource } from './byte-source.ts';
import { openFileSource } from './file-source.ts';
import { readElements, writeElements } from './irregular.ts';
import {
  denseRange,
  type ModelTensor,
  type Quantization,
  type QuantizationParameter,
  type TensorData,
  weightCount,
} from './model.ts';
import { elementBytes, putNumber, quantizedBits, unpackNumbers } from './quantized-numbers.ts';

/** Weights at a time, a multiple of 8: a byte of their keep mask is of one chunk. */
const CHUNK_WEIGHTS = 2 ** 18;

/** A tensor whose numbers have scales. */
export type QuantizedTensor = ModelTensor & {
  readonly data: TensorData;
  readonly quantization: Quantization;
};

export function isQuantized(tensor: ModelTensor): tensor is QuantizedTensor {
  return tensor.data !== null && tensor.quantization !== undefined;
}

/** The weights that a quantized tensor stands for, chunk by chunk, rounded as DequantizeLinear does to the format of the scales. A view, valid until the next chunk. */
export async function* dequantizedChunks(
  directory: string,
  tensor: QuantizedTensor,
  signal: AbortSignal,
): AsyncGenerator<{ readonly start: number; readonly weights: Float64Array }> {
  const { data, quantization } = tensor;
  const { dtype, scale } = quantization;
  const scales = await readParameter(directory, scale);
  const zeros = await readZeros(directory, quantization);
  const round = scale.dtype === 'float16' ? Math.f16round : Math.fround;
  const n = weightCount(tensor);
  const buffer = new Float64Array(Math.min(CHUNK_WEIGHTS, n));
  const places = new Places(quantization, buffer.length);
  await using opened = new AsyncDisposableStack();
  const range = denseRange(data);
  const source: ByteSource = range
    ? opened.use(await openFileSource(join(directory, range.file)))
    : bytesSource(await readElements(directory, data, elementBytes(dtype)));
  const base = range?.offset ?? 0;
  for (let start = 0; start < n; start += buffer.length) {
    signal.throwIfAborted();
    const weights = buffer.subarray(0, Math.min(buffer.length, n - start));
    const { byteStart, byteEnd } = places.move(start, weights.length);
    const stored = unpackNumbers(await source.read(base + byteStart, base + byteEnd), dtype);
    for (let i = 0; i < weights.length; i++)
      weights[i] = round((stored[places.number[i]] - zeros[places.zero[i]]) * scales[places.scale[i]]);
    yield { start, weights };
  }
}

/**
 * Puts its zero point in the place of every weight whose bit in the keep mask is 0, in the files below `directory`. All other bits stay.
 * @param keepMask the packed mask
 */
export async function zeroQuantized(
  directory: string,
  tensor: QuantizedTensor,
  keepMask: Pick<ByteSource, 'read'>,
): Promise<void> {
  const { data, quantization } = tensor;
  const { dtype } = quantization;
  const zeros = await readZeros(directory, quantization);
  const n = weightCount(tensor);
  const places = new Places(quantization, Math.min(CHUNK_WEIGHTS, n));
  const zero = (bytes: Uint8Array, dropped: Uint8Array, count: number) => {
    for (let i = 0; i < count; i++) {
      if ((dropped[i >> 3] >> (i & 7)) & 1) continue;
      putNumber(bytes, dtype, places.number[i], zeros[places.zero[i]]);
    }
  };
  const range = denseRange(data);
  const whole = range ? null : await readElements(directory, data, elementBytes(dtype));
  await using handle = range ? await open(join(directory, range.file), 'r+') : null;
  for (let start = 0; start < n; start += CHUNK_WEIGHTS) {
    const count = Math.min(CHUNK_WEIGHTS, n - start);
    const mask = await keepMask.read(start / 8, Math.ceil((start + count) / 8));
    const { byteStart, byteEnd } = places.move(start, count);
    if (whole) {
      zero(whole.subarray(byteStart, byteEnd), mask, count);
      continue;
    }
    const bytes = new Uint8Array(byteEnd - byteStart);
    const at = (range?.offset ?? 0) + byteStart;
    await handle?.read(bytes, 0, bytes.byteLength, at);
    zero(bytes, mask, count);
    await handle?.write(bytes, 0, bytes.byteLength, at);
  }
  if (whole) await writeElements(directory, data, whole, elementBytes(dtype));
}

/** Where weights are among the stored numbers, and which scale and zero point they have. */
class Places {
  /** Counted from the first number of the bytes that were told. */
  readonly number: Uint32Array;
  readonly scale: Uint32Array;
  readonly zero: Uint32Array;
  readonly #quantization: Quantization;
  readonly #axes: readonly PlacedAxis[];

  constructor(quantization: Quantization, count: number) {
    this.number = new Uint32Array(count);
    this.scale = new Uint32Array(count);
    this.zero = new Uint32Array(count);
    this.#quantization = quantization;
    this.#axes = placedAxes(quantization);
  }

  /** Tells the places of weights `[start, start + count)`, and the bytes that hold them. */
  move(start: number, count: number): { byteStart: number; byteEnd: number } {
    const { axes, rowLength, dtype } = this.#quantization;
    const bits = quantizedBits(dtype);
    const perRow = axes.at(-1)?.size ?? 1;
    const numberOf = (weight: number) => weight + Math.floor(weight / perRow) * (rowLength - perRow);
    const byteStart = Math.floor((numberOf(start) * bits) / 8);
    const byteEnd = Math.ceil(((numberOf(start + count - 1) + 1) * bits) / 8);
    const first = Math.floor((byteStart * 8) / bits);
    for (let i = 0; i < count; i++) this.number[i] = numberOf(start + i) - first;
    this.#follow(start, count);
    return { byteStart, byteEnd };
  }

  #follow(start: number, count: number): void {
    const { size, block, scale, zero } = this.#axes.at(-1) ?? ONE;
    const outer = this.#axes.slice(0, -1).reverse();
    for (let done = 0; done < count; ) {
      const position = (start + done) % size;
      let row = (start + done - position) / size;
      let [scaleAt, zeroAt] = [0, 0];
      for (const axis of outer) {
        const digit = row % axis.size;
        scaleAt += Math.floor(digit / axis.block) * axis.scale;
        zeroAt += Math.floor(digit / axis.block) * axis.zero;
        row = (row - digit) / axis.size;
      }
      const end = Math.min(done + size - position, count);
      for (let at = position; done < end; at++, done++) {
        const step = Math.floor(at / block);
        this.scale[done] = scaleAt + step * scale;
        this.zero[done] = zeroAt + step * zero;
      }
    }
  }
}

/** An axis of the weights, and how far scale and zero point go on from block to block. */
interface PlacedAxis {
  readonly size: number;
  readonly block: number;
  readonly scale: number;
  readonly zero: number;
}

const ONE: PlacedAxis = { size: 1, block: 1, scale: 0, zero: 0 };

/** Neighbours along which neither goes on are one. */
function placedAxes({ axes, scale, zeroPoint }: Quantization): PlacedAxis[] {
  const placed: PlacedAxis[] = [];
  const isPlain = (axis: PlacedAxis | undefined) => axis?.scale === 0 && axis.zero === 0;
  for (const [i, { size, block }] of axes.entries()) {
    const axis = { size, block, scale: scale.strides[i], zero: zeroPoint?.strides[i] ?? 0 };
    const last = placed.at(-1);
    if (last && isPlain(last) && isPlain(axis))
      placed[placed.length - 1] = { ...last, size: last.size * size };
    else placed.push(axis);
  }
  return placed;
}

async function readZeros(directory: string, { zeroPoint, zero }: Quantization): Promise<Float64Array> {
  return zeroPoint ? await readParameter(directory, zeroPoint) : Float64Array.of(zero);
}

async function readParameter(
  directory: string,
  { dtype, n, data }: QuantizationParameter,
): Promise<Float64Array> {
  if (!isFloatDtype(dtype))
    return unpackNumbers(await readElements(directory, data, elementBytes(dtype)), dtype);
  const numbers = new Float64Array(n);
  widen(await readElements(directory, data, BYTE_WIDTH[dtype]), dtype, numbers);
  return numbers;
}
