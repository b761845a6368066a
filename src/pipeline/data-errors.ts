import { EmpError, type ErrorCode, ofInput } from '../core/errors.ts';

/** What can be wrong with data only once the model runs on them. */
const DATA_ERRORS: ReadonlySet<ErrorCode> = new Set([
  'samples_mismatch',
  'invalid_labels',
  'non_finite_activation',
  'model_run_failed',
  'limit_exceeded',
]);

/** Does `work`; where it fails on the data it ran on, the error says which of the job's data they are. */
export async function namingData<T>(data: 'calibration' | 'evaluation', work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof EmpError) || !DATA_ERRORS.has(error.code)) throw error;
    const { code, message, findings } = error;
    throw new EmpError(code, `${data} data: ${message}`, [ofInput(data, message), ...findings]);
  }
}

/** Why a search within `max_accuracy_drop` cannot be on evaluation data whose loss is of squared errors. */
export function targetWithoutAccuracy(): EmpError {
  const reason =
    "needs an accuracy, and labels that are floats of the output's shape give squared errors alone: give max_loss_increase";
  return new EmpError('invalid_request', `max_accuracy_drop ${reason}`, [
    { path: '/recipe/target/max_accuracy_drop', message: reason },
    ofInput('evaluation', 'has labels that give no accuracy, and the recipe has max_accuracy_drop'),
  ]);
}

/** Why a search within `max_disagreement` cannot be on an output of single numbers. */
export function targetWithoutClasses(output: string): EmpError {
  const reason = `needs an output of several entries, of which one is the largest, and '${output}' has one: give max_relative_l2`;
  return new EmpError('invalid_request', `max_disagreement ${reason}`, [
    { path: '/recipe/target/max_disagreement', message: reason },
  ]);
}
