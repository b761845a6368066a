import { EmpError, type ErrorCode, ofInput, type SampleInput } from '../core/errors.ts';
import type { TargetName } from '../recipe/terms.ts';

/** What can be wrong with data only once the model runs on them. */
const DATA_ERRORS: ReadonlySet<ErrorCode> = new Set([
  'samples_mismatch',
  'invalid_labels',
  'non_finite_activation',
  'model_run_failed',
  'limit_exceeded',
]);

/** Does `work`; where it fails on the data it ran on, the error says which of the job's data they are. */
export async function namingData<T>(data: SampleInput, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof EmpError) || !DATA_ERRORS.has(error.code)) throw error;
    const { code, message, findings } = error;
    throw new EmpError(code, `${data} data: ${message}`, [ofInput(data, message), ...findings]);
  }
}

/** Why a search within `max_accuracy_drop` cannot be on data whose loss is of squared errors. */
export function targetWithoutAccuracy(data: SampleInput): EmpError {
  const reason =
    "needs an accuracy, and labels that are floats of the output's shape give squared errors alone: give max_loss_increase";
  return new EmpError('invalid_request', `max_accuracy_drop ${reason}`, [
    { path: '/recipe/target/max_accuracy_drop', message: reason },
    ofInput(data, 'has labels that give no accuracy, and the recipe has max_accuracy_drop'),
  ]);
}

/** Why there can be no target with so few samples. */
export function tooFewToSplit(nSamples: number, atATime: number): EmpError {
  const units = atATime === 1 ? 'samples' : `batches of ${atATime}, as the model takes them,`;
  const message = `has ${nSamples} samples: a target is searched on one half and reported on the other, so give at least 2 ${units} or no target`;
  return new EmpError('invalid_request', `evaluation ${message}`, [
    {
      path: '/recipe/target',
      message: `needs evaluation data that can be halved, and evaluation ${message}`,
    },
    ofInput('evaluation', message),
  ]);
}

/** Why predictions that are all the same cannot be kept to. */
export function oneAnswer(data: SampleInput): EmpError {
  const message =
    'the dense model predicts the same for every sample that is searched on, which any model may: give samples of several answers, scaled as in training, or max_relative_l2';
  return new EmpError('samples_mismatch', `${data} data: ${message}`, [
    ofInput(data, message),
    { path: '/recipe/target/max_disagreement', message: `needs predictions that differ: ${message}` },
  ]);
}

/** Why there can be no target where one half has no label that counts. */
export function tooFewThatCount(nCounted: number): EmpError {
  const message = `has labels that count in ${nCounted} samples alone, and none of them in one half: give more samples with labels`;
  return new EmpError('invalid_labels', `evaluation ${message}`, [
    ofInput('evaluation', message),
    {
      path: '/recipe/target',
      message: `needs evaluation data that can be halved, and evaluation ${message}`,
    },
  ]);
}

/**
 * Why a promise cannot be kept with so few samples, whatever the model.
 * @param isHalved whether they are one half of the evaluation data
 */
export function tooFewToPromise(
  name: TargetName,
  confidence: number,
  nSamples: number,
  nNeeded: number,
  isHalved: boolean,
): EmpError {
  const tested = `${nSamples} that no choice saw, ${isHalved ? 'half of' : 'all of'} the evaluation data`;
  const wanted = isHalved ? 2 * nNeeded : nNeeded;
  const isPossible = Number.isFinite(nNeeded);
  const message = isPossible
    ? `needs at least ${nNeeded} samples for confidence ${confidence} of this limit, and there are ${tested}: give ${wanted}, a larger limit, or less confidence`
    : `is a limit that no number of samples can show with confidence ${confidence}: give a larger limit, or no confidence`;
  const ofData = isPossible ? 'has too few samples for the promise' : 'cannot show the promise';
  return new EmpError('invalid_request', `${name} ${message}`, [
    { path: `/recipe/target/${name}`, message },
    ofInput('evaluation', `${ofData}: ${name} ${message}`),
  ]);
}

/** Why no target can be searched on samples of one kind and reported on others: limits and tests are of one measure. */
export function unlikeSelection(code: 'samples_mismatch' | 'invalid_labels', differs: string): EmpError {
  const message = `${differs}: a target is searched and reported by one measure, so give samples and labels of the same shapes and kind`;
  return new EmpError(code, `selection data: ${message}`, [
    ofInput('selection', message),
    { path: '/recipe/target', message: 'needs selection data like the evaluation data' },
  ]);
}

/** Why a search of predictions or directions cannot be on an output of single numbers. */
export function targetWithoutClasses(
  name: 'max_disagreement' | 'max_kl' | 'max_cosine_distance',
  output: string,
): EmpError {
  const needs = {
    max_disagreement:
      'predictions: an output of several entries, of which one is the largest, or one of a Sigmoid',
    max_kl: 'classes: an output of several entries, as a softmax has',
    max_cosine_distance: 'vectors: an output of several entries, as an embedding has',
  };
  const reason = `needs ${needs[name]}. '${output}' has numbers that stand alone: give max_relative_l2`;
  return new EmpError('invalid_request', `${name} ${reason}`, [
    { path: `/recipe/target/${name}`, message: reason },
  ]);
}
