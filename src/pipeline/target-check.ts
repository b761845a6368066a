import { EmpError } from '../core/errors.ts';

/**
 * Why a search within `max_accuracy_drop` cannot be on evaluation data whose loss is of squared errors.
 * @param field what the request calls the data
 */
export function targetWithoutAccuracy(field: string): EmpError {
  const reason =
    "needs an accuracy, and labels that are floats of the output's shape give squared errors alone: give max_loss_increase";
  return new EmpError('invalid_request', `max_accuracy_drop ${reason}`, [
    { path: '/recipe/target/max_accuracy_drop', message: reason },
    { path: field, message: 'has labels that give no accuracy, and the recipe has max_accuracy_drop' },
  ]);
}
