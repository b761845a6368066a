import type { JobView } from './job-views.ts';
import { EXIT, Refusal } from './refusal.ts';
import type { DataFlags } from './run.ts';

/** Data that a run had, and flags that give them. */
type Had = readonly [flag: string, had: boolean, isGiven: boolean];

/**
 * Refuses to make a run again without the data that it had.
 * @param path of the job's file
 * @throws Refusal naming every flag that is missing
 */
export function refuseMissingData(
  job: JobView,
  path: string,
  flags: DataFlags & { readonly scores?: string },
): void {
  const isGiven = (...files: readonly (readonly string[] | undefined)[]) => files.some((one) => one?.length);
  const { dense_loss = null, dense_accuracy = null } = job.summary ?? {};
  const all: Had[] = [
    ['--data', job.evaluation_dataset_id !== null, isGiven(flags.data, flags.inputs)],
    ['--labels', dense_loss !== null || dense_accuracy !== null, isLabelled(flags)],
    ['--calibration', job.calibration_dataset_id !== null, isGiven(flags.calibration)],
    ['--selection', job.selection_dataset_id !== null, isGiven(flags.selection)],
    ['--scores', job.scores_dataset_id !== null, flags.scores !== undefined],
  ];
  const missing = all.filter(([, had, given]) => had && !given).map(([flag]) => `${flag} FILE`);
  if (missing.length > 0)
    throw new Refusal(
      EXIT.badInput,
      `to make it again, give the data that the run had: ${missing.join(' ')}; ${path} has their hashes, not their paths`,
    );
}

/** A `.npz` may hold labels too. */
function isLabelled({ data = [], inputs = [], labels }: DataFlags): boolean {
  return labels !== undefined || [...data, ...inputs].some((path) => path.endsWith('.npz'));
}
