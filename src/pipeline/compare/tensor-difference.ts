import { type FloatDtype, isFloatDtype } from '../../core/dtype.ts';
import { narrow, widen } from '../../core/float-format.ts';
import { type WeightChunk, weightChunks } from '../../criteria/weight-chunks.ts';
import type { ModelTensor } from '../../formats/model.ts';
import type { StoredModel } from '../../formats/stored-model.ts';
import type { BothTensors, TensorPair } from './match-tensors.ts';

/** The weights of a pruned tensor. */
export interface WeightCounts {
  /** That are not zero. */
  readonly nKeep: number;
  /** That are NaN or infinite, and are not the same in the original. */
  readonly notFinite: number;
}

/** What became of the weights of a tensor. */
export interface Difference extends WeightCounts {
  readonly n: number;
  /** Zero in the pruned tensor, and not in the original. */
  readonly zerosAdded: number;
  /** Zero in the original, and not in the pruned tensor. */
  readonly zerosFilled: number;
  /** Zero in neither, and another finite number; rounded to the format of the pruned tensor where that is coarser. */
  readonly valuesChanged: number;
}

export interface ComparedModels {
  readonly original: StoredModel;
  readonly pruned: StoredModel;
  readonly signal: AbortSignal;
}

/**
 * Reads two tensors of one shape side by side, chunk by chunk.
 * @param onMask gets the packed keep mask of the pruned tensor, a chunk at a time, in order
 */
export async function differenceOf(
  pair: TensorPair,
  { original, pruned, signal }: ComparedModels,
  onMask: (keepMask: Uint8Array, start: number) => Promise<void>,
): Promise<Difference> {
  const round = rounding(pair);
  let [n, nKeep, notFinite, zerosAdded, zerosFilled, valuesChanged] = [0, 0, 0, 0, 0, 0];
  await using reading = new AsyncDisposableStack();
  // What is not read to its end holds its file open.
  const others = reading.use(weightChunks(pair.pruned, { model: pruned, signal }));
  for await (const { start, weights } of weightChunks(pair.original, { model: original, signal })) {
    const after = await nextOf(others, weights.length, pair.pruned);
    const before = round(weights);
    const keepMask = new Uint8Array(Math.ceil(weights.length / 8));
    for (let i = 0; i < weights.length; i++) {
      const isKept = after[i] !== 0;
      if (isKept) keepMask[i >> 3] |= 1 << (i & 7);
      nKeep += Number(isKept);
      zerosAdded += Number(!isKept && weights[i] !== 0);
      zerosFilled += Number(isKept && weights[i] === 0);
      const isOther = isKept && !Object.is(after[i], before[i]);
      const isNumber = Number.isFinite(after[i]);
      notFinite += Number(isOther && !isNumber);
      valuesChanged += Number(isOther && isNumber && weights[i] !== 0);
    }
    n += weights.length;
    await onMask(keepMask, start);
  }
  return { n, nKeep, notFinite, zerosAdded, zerosFilled, valuesChanged };
}

/** Counts the weights of a tensor that nothing is held against. */
export async function countWeights(
  tensor: ModelTensor,
  model: StoredModel,
  signal: AbortSignal,
): Promise<WeightCounts> {
  let [nKeep, notFinite] = [0, 0];
  for await (const { weights } of weightChunks(tensor, { model, signal }))
    for (const weight of weights) {
      nKeep += Number(weight !== 0);
      notFinite += Number(!Number.isFinite(weight));
    }
  return { nKeep, notFinite };
}

/** Both tensors have as many weights, and are read by as many at a time. */
async function nextOf(chunks: AsyncGenerator<WeightChunk>, length: number, { name }: ModelTensor) {
  const { value, done } = await chunks.next();
  if (done || value.weights.length !== length) throw new TypeError(`${name} is read by other chunks`);
  return value.weights;
}

/** The weights of the original as the pruned tensor's format could hold them: what is only rounded was not fitted anew. */
export function rounding({ original, pruned }: BothTensors): (weights: Float64Array) => Float64Array {
  const { dtype } = pruned;
  if (original.dtype === dtype || !isFloatDtype(dtype)) return (weights) => weights;
  return (weights) => rounded(weights, dtype);
}

function rounded(weights: Float64Array, dtype: FloatDtype): Float64Array {
  const target = new Float64Array(weights.length);
  widen(narrow(weights, dtype), dtype, target);
  return target;
}
