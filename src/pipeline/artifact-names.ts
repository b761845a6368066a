import { EmpError } from '../core/errors.ts';
import type { ModelInventory } from '../formats/model.ts';

export const MASKS_FILE = 'masks.safetensors';
export const REPORT_FILE = 'report.json';
export const REPORT_PAGE = 'report.html';
export const REPORT_TEXT = 'report.md';
/** What a job that explores a line of a search has tried. */
export const CANDIDATES_FILE = 'candidates.json';
/** What a job that compares two models has found. */
export const COMPARISON_FILE = 'compare.json';
/** What the job found, beside its artifacts. */
export const OUTCOME_FILE = '.outcome.json';
/** Files that exist only while the job runs. */
export const SCRATCH_FOLDER = '.scratch';

/**
 * The pruned model's files lie beside the job's own, under the names they were uploaded with.
 * @throws EmpError `unsupported_model` where the two would meet
 */
export function refuseReservedNames({ files }: ModelInventory): void {
  const taken = files.find((file) =>
    [MASKS_FILE, REPORT_FILE, REPORT_PAGE, REPORT_TEXT, OUTCOME_FILE, SCRATCH_FOLDER].includes(
      file.split('/')[0],
    ),
  );
  if (taken === undefined) return;
  throw new EmpError(
    'unsupported_model',
    `a job writes a file of its own to ${taken}: give the model's another name`,
    [{ path: taken, message: 'is a name that jobs use themselves' }],
  );
}
