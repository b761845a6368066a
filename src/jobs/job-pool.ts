import { ChildPool } from './child-pool.ts';
import type { JobPool } from './compute-in-children.ts';
import type { JobLimits } from './job-limits.ts';

/** JavaScript's objects may take this share of a job's memory; tensors live outside of them. */
const HEAP_SHARE = 0.5;

interface JobPoolSettings {
  /** Of its children: what `childEnvironment` made. */
  readonly env: NodeJS.ProcessEnv;
  readonly limits: JobLimits;
  readonly threads: number;
  /** The child's file; the tests have their own. */
  readonly program?: URL | undefined;
}

/** Children that compute jobs, each within the limits of one. */
export function createJobPool({ env, limits, threads, program }: JobPoolSettings): JobPool {
  const { memoryMebibytes } = limits;
  return new ChildPool(program ?? new URL('./job-child.ts', import.meta.url), env, {
    heapMebibytes: Math.ceil(HEAP_SHARE * memoryMebibytes),
    memoryMebibytes,
    threads,
  });
}
