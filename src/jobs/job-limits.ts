import { EmpError, isOutOfMemory } from '../core/errors.ts';

/** What one job may take; settings of the service. */
export interface JobLimits {
  /** Of one attempt. */
  readonly timeMs: number;
  /** Of the process that computes it. */
  readonly memoryMebibytes: number;
}

/** Why a job was ended that took too long. */
export function outOfTime({ timeMs }: Pick<JobLimits, 'timeMs'>): EmpError {
  const seconds = Math.round(timeMs / 1000);
  return new EmpError(
    'limit_exceeded',
    `The job took longer than the ${seconds} seconds that one may take. Give it fewer samples, a search with less to try, or raise JOB_TIMEOUT_SECONDS.`,
  );
}

/** Why a job was ended that took too much memory. @param reason what failed for want of it */
export function outOfMemory({ memoryMebibytes }: Pick<JobLimits, 'memoryMebibytes'>, reason = ''): EmpError {
  const what = reason === '' ? '' : ` (${reason})`;
  return new EmpError(
    'limit_exceeded',
    `The job took more than the ${memoryMebibytes} MiB of memory that one may take${what}. Fix the model's batch size to a smaller one, give it smaller inputs, or raise JOB_MEMORY_MIB.`,
  );
}

/** An error as it is where it is not about memory; else `outOfMemory`, with the places that the error names. */
export function namingMemory(error: unknown, limits: Pick<JobLimits, 'memoryMebibytes'>): unknown {
  if (!(error instanceof Error)) return error;
  const isOfMemory =
    error instanceof EmpError ? error.code === 'limit_exceeded' : isOutOfMemory(error.message);
  if (!isOfMemory) return error;
  const named = outOfMemory(limits, error.message);
  return error instanceof EmpError ? new EmpError(named.code, named.message, error.findings) : named;
}
