import { isParameter, type ModelTensor, parameterCount, weightCount, weightShape } from '../formats/model.ts';
import type { Report } from '../report/report.ts';

/** More tensors tell nobody more. */
const MAX_LISTED = 20;

/**
 * What of a model's parameters a job does not reach: tables of embeddings, formats that it cannot score, layers that it does not find. Vectors, such as biases and norms, are not meant,
 * nor scales and zero points of other tensors' numbers.
 * @param isReached whether a tensor is scored, loses something with what is scored, or was left out by the recipe's own words
 */
export function untouchedOf(
  tensors: readonly ModelTensor[],
  isReached: (tensor: ModelTensor) => boolean,
): Report['untouched'] {
  const quantizing = new Set(
    tensors.flatMap(({ quantization }) => [quantization?.scale, quantization?.zeroPoint].map(placeOf)),
  );
  const left = tensors.filter(
    (tensor) =>
      isParameter(tensor) &&
      isMatrix(tensor) &&
      weightCount(tensor) > 0 &&
      !quantizing.has(placeOf(tensor)) &&
      !isReached(tensor),
  );
  const n = parameterCount(left);
  const listed = left
    .map((tensor) => ({ name: tensor.name, dtype: tensor.dtype, n: weightCount(tensor) }))
    .sort((a, b) => b.n - a.n);
  return {
    n,
    share: n === 0 ? 0 : n / parameterCount(tensors),
    n_tensors: left.length,
    tensors: listed.slice(0, MAX_LISTED),
  };
}

/** Where a tensor's numbers begin; of one without any nothing that equals another. */
function placeOf(stored: Pick<ModelTensor, 'data'> | null | undefined): unknown {
  const run = stored?.data?.runs[0];
  return run === undefined ? stored : `${run.offset} ${run.file}`;
}

function isMatrix(tensor: ModelTensor): boolean {
  return tensor.role === 'weight' || weightShape(tensor).filter((size) => size > 1).length >= 2;
}
