import { EmpError } from '../core/errors.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import type { CriterionContext } from './criterion.ts';

/** The samples that a criterion runs the model on. Throws `invalid_request` without them, or without a model that runs. */
export function requireCalibration(
  criterion: string,
  { calibration, inventory: { format } }: CriterionContext,
): SampleSet {
  if (format !== 'onnx') {
    const message = `criterion ${criterion} runs the model, and a ${format} file holds only its weights: upload it as ONNX`;
    throw new EmpError('invalid_request', message, [{ path: '/recipe/criterion', message }]);
  }
  if (calibration === null) {
    const message = `criterion ${criterion} needs calibration data: inputs to run the model on`;
    throw new EmpError('invalid_request', message, [
      { path: '/recipe/criterion', message },
      { path: '/calibration_dataset_id', message: 'is missing' },
    ]);
  }
  return calibration;
}
