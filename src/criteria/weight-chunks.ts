import { join } from 'node:path';
import { BYTE_WIDTH, isFloatDtype } from '../core/dtype.ts';
import { EmpError } from '../core/errors.ts';
import { widen } from '../core/float-format.ts';
import { type ByteSource, bytesSource } from '../formats/byte-source.ts';
import { openFileSource } from '../formats/file-source.ts';
import { readIrregular } from '../formats/irregular.ts';
import { denseRange, elementCount, type ModelTensor, weightCount } from '../formats/model.ts';
import { dequantizedChunks, isQuantized } from '../formats/quantized-weights.ts';
import type { ModelRun } from '../runtime/model-run.ts';
import type { Factors } from './part-statistics.ts';

/** A megabyte of float32 at a time. */
const CHUNK_ELEMENTS = 2 ** 18;

/** Some of a tensor's weights, from the flat index `start` on. */
export interface WeightChunk {
  readonly start: number;
  /** Widened exactly. A view, valid until the next chunk. */
  readonly weights: Float64Array;
}

export type WeightContext = Pick<ModelRun, 'model' | 'signal'>;

/** The weights of a tensor in their order, chunk by chunk, dequantized. Throws `unsupported_dtype` for what are no floats and have no scales. */
export async function* weightChunks(
  tensor: ModelTensor,
  { model, signal }: WeightContext,
): AsyncGenerator<WeightChunk> {
  if (isQuantized(tensor)) {
    yield* dequantizedChunks(model.directory, tensor, signal);
    return;
  }
  const { data, dtype, name, shape } = tensor;
  if (data === null || !isFloatDtype(dtype)) {
    throw new EmpError(
      'unsupported_dtype',
      `${name} is ${dtype}, and not with stored scales and zero points as this program reads and writes them: only floats and integers with these have weights`,
    );
  }
  const n = elementCount(shape);
  const range = denseRange(data);
  const width = BYTE_WIDTH[dtype];
  await using files = new AsyncDisposableStack();
  const source: ByteSource = range
    ? files.use(await openFileSource(join(model.directory, range.file)))
    : bytesSource(await readIrregular(model.directory, data, n));
  const first = range?.offset ?? 0;
  const buffer = new Float64Array(Math.min(CHUNK_ELEMENTS, n));
  for (let start = 0; start < n; start += buffer.length) {
    signal.throwIfAborted();
    const weights = buffer.subarray(0, Math.min(buffer.length, n - start));
    const bytes = await source.read(first + start * width, first + (start + weights.length) * width);
    widen(bytes, dtype, weights);
    yield { start, weights };
  }
}

/** All weights of a tensor, for what is small. */
export async function readWeights(tensor: ModelTensor, context: WeightContext): Promise<Float64Array> {
  const all = new Float64Array(weightCount(tensor));
  for await (const { start, weights } of weightChunks(tensor, context)) all.set(weights, start);
  return all;
}

/** Sums of the squares of a tensor's weights, times factors where there are any, for every position along an axis. */
export async function squaresAlong(
  tensor: ModelTensor,
  axis: number,
  context: WeightContext,
  factors: Factors = (_, target) => target.fill(1),
): Promise<Float64Array> {
  const size = tensor.shape[axis];
  const sums = new Float64Array(size);
  const positionOf = packedPositions(tensor, axis);
  const inner = positionOf ? 1 : elementCount(tensor.shape.slice(axis + 1));
  for await (const { start, weights } of weightChunks(tensor, context)) {
    const factorOf = new Float64Array(weights.length);
    factors(start, factorOf);
    let position = Math.floor(start / inner) % size;
    let left = inner - (start % inner);
    for (let i = 0; i < weights.length; i++) {
      if (positionOf) position = positionOf(start + i);
      sums[position] += weights[i] * weights[i] * factorOf[i];
      if (--left > 0) continue;
      left = inner;
      position = (position + 1) % size;
    }
  }
  return sums;
}

/**
 * Where weights `[units, features]` lie along an axis of the bytes that hold them: their first axes are units, as `[experts, units, ...]`, the others fill a row, as `[..., blocks, bytes]`. Null
 * where they lie as the tensor's numbers do.
 */
function packedPositions(
  { shape, quantization }: ModelTensor,
  axis: number,
): ((weight: number) => number) | null {
  if (quantization === undefined || quantization.axes.length === shape.length) return null;
  const [{ size: units }, { size: features }] = quantization.axes;
  let first = 1;
  while (elementCount(shape.slice(0, first)) < units) first++;
  if (axis < first) {
    const inner = features * elementCount(shape.slice(axis + 1, first));
    return (weight) => Math.floor(weight / inner) % shape[axis];
  }
  const inner = quantization.rowLength / elementCount(shape.slice(first, axis + 1));
  return (weight) => Math.floor((weight % features) / inner) % shape[axis];
}
