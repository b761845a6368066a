import { EmpError, type ErrorCode } from '../core/errors.ts';

/** What can be wrong with data only once the model runs on them. */
const DATA_ERRORS: ReadonlySet<ErrorCode> = new Set([
  'samples_mismatch',
  'invalid_labels',
  'non_finite_activation',
  'model_run_failed',
]);

/** Does `work`; where it fails on the data it ran on, the error says which of the job's data they are. */
export async function namingData<T>(data: 'calibration' | 'evaluation', work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof EmpError) || !DATA_ERRORS.has(error.code)) throw error;
    const { code, message, findings } = error;
    throw new EmpError(code, `${data} data: ${message}`, [
      { path: `/${data}_dataset_id`, message },
      ...findings,
    ]);
  }
}
