import { isFloatDtype } from '../../core/dtype.ts';
import { EmpError, ofInput } from '../../core/errors.ts';
import { elementCount, type ModelTensor, weightShape } from '../../formats/model.ts';
import type { CriterionContext, ScoreRange, WeightScorer } from '../context.ts';

/** The client's own scores. Throws as `uploadedRange`. */
export const score: WeightScorer<'scores'> = async (tensors, { scores }) =>
  tensors.map((tensor) => uploadedRange(tensor, scores));

/** The uploaded array of the tensor's name and shape, of packed weights the shape that they stand for. Throws `scores_mismatch`. */
export function uploadedRange(tensor: ModelTensor, scores: CriterionContext['scores']): ScoreRange {
  const array = scores?.get(tensor.name);
  const expected = JSON.stringify(weightShape(tensor));
  if (!array) {
    throw new EmpError('scores_mismatch', `the uploaded scores have no array named ${tensor.name}`, [
      ofInput('scores', `expected an array ${tensor.name} of shape ${expected}`),
    ]);
  }
  const { dtype, shape, range } = array;
  if (!isFloatDtype(dtype)) {
    throw new EmpError(
      'scores_mismatch',
      `scores of ${tensor.name} are ${dtype}: expected float16, bfloat16, float32 or float64`,
    );
  }
  if (JSON.stringify(shape) !== expected) {
    throw new EmpError(
      'scores_mismatch',
      `scores of ${tensor.name} have shape ${JSON.stringify(shape)}, the tensor has ${expected}`,
    );
  }
  return { name: tensor.name, path: range.path, offset: range.offset, dtype, n: elementCount(shape) };
}
