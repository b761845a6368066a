import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import packageJson from '../../package.json' with { type: 'json' };
import type { JobStatus } from '../jobs/job.ts';
import type { AttemptHearer, AttemptWatcher } from '../jobs/watch-attempts.ts';
import { STAGES } from '../pipeline/progress.ts';
import { freeBytes } from '../storage/free-space.ts';
import { registerChildMemory } from './child-memory.ts';

/** Seconds: from a stage that reads a header to a search that takes an hour. */
const STAGE_BUCKETS = [0.01, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600];

/** Gauges of prom-client by the names of counters; those without `_total` have the same by type. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/** How a job may have ended. */
export type EndStatus = Exclude<JobStatus, 'queued' | 'running'>;
const ENDS: readonly EndStatus[] = ['succeeded', 'failed', 'canceled'];

/** What a process of any role tells Prometheus of itself, and of the jobs that ended by it. */
export interface ServiceMetrics {
  readonly register: Registry;
  /** Of a worker's attempts: what each stage took. */
  readonly attempts: AttemptWatcher;
  /** Counts a job whose end was decided by this process, or by a child of it. */
  jobEnded(status: EndStatus): void;
}

/** The room on the disk of a data directory. */
export function registerFreeBytes(register: Registry, dataDirectory: string): void {
  new Gauge({
    name: 'emp_storage_free_bytes',
    help: 'Bytes that may still be written to the disk of the data directory.',
    registers: [register],
    async collect() {
      // A directory that is gone is told by the readiness, and leaves this out.
      await freeBytes(dataDirectory).then(
        (bytes) => this.set(bytes),
        () => this.remove(),
      );
    },
  });
}

/** Of this process, on a register of its own. */
export function createMetrics(): ServiceMetrics {
  const register = new Registry();
  const registers = [register];
  collectDefaultMetrics({ register });
  for (const name of MISNAMED) register.removeSingleMetric(name);
  registerChildMemory(register);
  const build = new Gauge({
    name: 'emp_build_info',
    help: 'Always 1; its labels say which build this is, and what it runs on.',
    labelNames: ['version', 'node'],
    registers,
  });
  build.set({ version: packageJson.version, node: process.versions.node }, 1);
  const ended = new Counter({
    name: 'emp_jobs_total',
    help: 'Jobs that ended by this process: computed, given up or canceled.',
    labelNames: ['status'],
    registers,
  });
  for (const status of ENDS) ended.inc({ status }, 0);
  const durations = new Histogram({
    name: 'emp_job_duration_seconds',
    help: 'What the stages took of attempts at jobs, each once it was over.',
    labelNames: ['stage'],
    buckets: STAGE_BUCKETS,
    registers,
  });
  const took = (stage: string, seconds: number) => durations.observe({ stage: labelOf(stage) }, seconds);
  return {
    register,
    attempts: { begin: () => timeStages(took) },
    jobEnded: (status) => ended.inc({ status }),
  };
}

/** A child says where it is, and a series for whatever it might say would be one too many. */
function labelOf(stage: string): string {
  return STAGES.some((known) => known === stage) ? stage : 'other';
}

/** The last stage counts where the job was done: any other was cut short. */
function timeStages(took: (stage: string, seconds: number) => void): AttemptHearer {
  let current: { readonly stage: string; readonly since: number } | null = null;
  const leave = () => {
    if (current) took(current.stage, (performance.now() - current.since) / 1000);
    current = null;
  };
  return {
    entered(stage) {
      leave();
      current = { stage, since: performance.now() };
    },
    ended({ how }) {
      if (how === 'done') leave();
    },
  };
}
