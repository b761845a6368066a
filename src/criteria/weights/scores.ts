import { isFloatDtype } from '../../core/dtype.ts';
import { EmpError, ofInput } from '../../core/errors.ts';
import { elementCount, type ModelTensor } from '../../formats/model.ts';
import type { CriterionContext, ScoreRange, WeightScorer } from '../context.ts';

/** The client's own scores. Throws as `uploadedRange`. */
export const score: WeightScorer<'scores'> = async (tensors, { scores }) =>
  tensors.map((tensor) => uploadedRange(tensor, scores));

/** The uploaded array of the tensor's name and shape. Throws `scores_mismatch`. */
export function uploadedRange(tensor: ModelTensor, scores: CriterionContext['scores']): ScoreRange {
  const array = scores?.get(tensor.name);
  if (!array) {
    throw new EmpError('scores_mismatch', `the uploaded scores have no array named ${tensor.name}`, [
      ofInput('scores', `expected an array ${tensor.name} of shape ${JSON.stringify(tensor.shape)}`),
    ]);
  }
  const { dtype, shape, range } = array;
  if (!isFloatDtype(dtype)) {
    throw new EmpError(
      'scores_mismatch',
      `scores of ${tensor.name} are ${dtype}: expected float16, bfloat16, float32 or float64`,
    );
  }
  if (JSON.stringify(shape) !== JSON.stringify(tensor.shape)) {
    throw new EmpError(
      'scores_mismatch',
      `scores of ${tensor.name} have shape ${JSON.stringify(shape)}, the tensor has ${JSON.stringify(tensor.shape)}`,
    );
  }
  return { name: tensor.name, path: range.path, offset: range.offset, dtype, n: elementCount(shape) };
}
