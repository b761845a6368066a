import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { refuseReservedNames, SCRATCH_FOLDER } from './artifact-names.ts';
import { plannedWork } from './planned-work.ts';
import { Progress, type ProgressUpdate, StageClock } from './progress.ts';
import type { PruneInput, PruneJob } from './prune-job.ts';
import { countPasses } from './repairs.ts';
import { sampleWork } from './sample-work.ts';
import { usedInputs } from './used-inputs.ts';

export interface PruneContext {
  readonly signal: AbortSignal;
  onProgress(update: ProgressUpdate): void;
}

/**
 * Begins a job: everything that the recipe needs is there.
 * @throws EmpError as `usedInputs` and `refuseReservedNames`
 */
export async function beginJob(given: PruneInput, { signal, onProgress }: PruneContext): Promise<PruneJob> {
  const { input, unused } = await usedInputs(given);
  const { model, outputDirectory, calibration } = input;
  refuseReservedNames(model.inventory);
  const progress = new Progress(plannedWork(input, await countPasses(input)), onProgress);
  const scratchDirectory = join(outputDirectory, SCRATCH_FOLDER);
  await mkdir(scratchDirectory, { recursive: true });
  const work = calibration ? sampleWork(calibration) : 0;
  const onCalibration = (count: number) => progress.advance(count * work);
  const clock = new StageClock(progress);
  const unreached = new Map<string, number>();
  return { input, unused, unreached, scratchDirectory, progress, clock, signal, onCalibration };
}
