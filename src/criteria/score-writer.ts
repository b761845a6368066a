import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BYTE_WIDTH, isFloatDtype } from '../core/dtype.ts';
import { EmpError } from '../core/errors.ts';
import { widen } from '../core/float-format.ts';
import { type ByteSource, bytesSource } from '../formats/byte-source.ts';
import { openFileSource } from '../formats/file-source.ts';
import { readIrregular } from '../formats/irregular.ts';
import { denseRange, elementCount, type ModelTensor } from '../formats/model.ts';
import { type IndexMap, spreadValues } from '../formats/onnx/index-map.ts';
import type { CriterionContext, ScoreRange } from './criterion.ts';

/** A megabyte of scores at a time. */
const CHUNK_ELEMENTS = 2 ** 18;

/** What the weights of a tensor are multiplied by: a factor for every feature. */
export interface FeatureFactors {
  readonly factors: Float64Array;
  /** The feature of every element. */
  readonly features: NonNullable<IndexMap>;
}

/**
 * Writes `|W_ij| * factor` of every weight, computed in float64, to a scratch file named after `index`: as float32, or float64 of float64 weights.
 * A product beyond that becomes Infinity, which is refused where the scores are read.
 */
export async function writeScores(
  tensor: ModelTensor,
  { factors, features }: FeatureFactors,
  context: Pick<CriterionContext, 'modelDirectory' | 'scratchDirectory' | 'signal'>,
  index: number,
): Promise<ScoreRange> {
  const { data, dtype, name, shape } = tensor;
  if (data === null || !isFloatDtype(dtype)) {
    throw new EmpError('unsupported_dtype', `${name} is ${dtype}: only float weights can be scored`);
  }
  const n = elementCount(shape);
  const path = join(context.scratchDirectory, `scores-${index}`);
  const range = denseRange(data);
  const width = BYTE_WIDTH[dtype];
  await using files = new AsyncDisposableStack();
  const source: ByteSource = range
    ? files.use(await openFileSource(join(context.modelDirectory, range.file)))
    : bytesSource(await readIrregular(context.modelDirectory, data, n));
  const first = range?.offset ?? 0;
  const target = files.use(await open(path, 'w'));
  const size = Math.min(CHUNK_ELEMENTS, n);
  const [weights, factorOf, scores] = [
    new Float64Array(size),
    new Float64Array(size),
    dtype === 'float64' ? new Float64Array(size) : new Float32Array(size),
  ];
  for (let start = 0; start < n; start += size) {
    context.signal.throwIfAborted();
    const count = Math.min(size, n - start);
    const bytes = await source.read(first + start * width, first + (start + count) * width);
    widen(bytes, dtype, weights.subarray(0, count));
    spreadValues(features, factors, start, factorOf.subarray(0, count));
    for (let i = 0; i < count; i++) scores[i] = Math.abs(weights[i]) * factorOf[i];
    await target.writeFile(scores.subarray(0, count));
  }
  return { path, offset: 0, dtype: dtype === 'float64' ? 'float64' : 'float32', n };
}

/** Likewise the scores themselves, one for every weight. */
export async function writeValues(
  { dtype, shape }: ModelTensor,
  values: Float64Array,
  context: Pick<CriterionContext, 'scratchDirectory' | 'signal'>,
  index: number,
): Promise<ScoreRange> {
  const path = join(context.scratchDirectory, `scores-${index}`);
  const isWide = dtype === 'float64';
  await writeFile(path, isWide ? values : new Float32Array(values), { signal: context.signal });
  return { path, offset: 0, dtype: isWide ? 'float64' : 'float32', n: elementCount(shape) };
}
