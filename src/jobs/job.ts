import type { InputFinding } from '../core/errors.ts';
import type { LineTerms } from '../pipeline/explore.ts';
import type { Artifact } from '../pipeline/write-report.ts';
import type { Recipe } from '../recipe/recipe.ts';
import type { Summary } from '../report/summary.ts';
import type { StoredRecord } from '../storage/store.ts';
import type { Prospect, Turn } from './job-lanes.ts';

export const JOB_STATUSES = ['queued', 'running', 'succeeded', 'failed', 'canceled'] as const;
export type JobStatus = (typeof JOB_STATUSES)[number];

/** Who is told of a job or a search. */
export interface WebhookTarget {
  readonly url: string;
}

/** What the client asked for: written once, before the job is queued. */
export interface JobRequest extends Turn {
  readonly model_id: string;
  readonly scores_dataset_id: string | null;
  readonly calibration_dataset_id: string | null;
  readonly evaluation_dataset_id: string | null;
  /** Absent without one, so that requests of versions that had none stay the same. */
  readonly selection_dataset_id?: string;
  readonly recipe: Recipe;
  readonly metadata: Readonly<Record<string, string>>;
  /** Who is told of its end; absent without one, so that requests of versions that had none stay the same. */
  readonly webhook?: WebhookTarget;
  /** The model that is compared with `model_id`, of a job that does so; absent of any other. */
  readonly pruned_model_id?: string;
  /** The id of the request that submitted it; absent of one that came by no request, and in records of earlier versions. */
  readonly request_id?: string;
  /** The search that has it done; absent without one. */
  readonly search_id?: string;
  /** Of a job that tries a line of a search; absent of one that prunes. */
  readonly line?: LineTerms;
}

type ResourceIds = Pick<JobRequest, 'model_id' | 'calibration_dataset_id' | 'evaluation_dataset_id'> &
  Partial<Pick<JobRequest, 'scores_dataset_id' | 'selection_dataset_id' | 'pruned_model_id'>>;

/** The models and datasets that a job, or a search, reads. */
export function resourcesOf(request: ResourceIds): string[] {
  const { model_id, scores_dataset_id, calibration_dataset_id, evaluation_dataset_id } = request;
  const data = [scores_dataset_id, calibration_dataset_id, request.selection_dataset_id];
  const ids = [model_id, request.pruned_model_id, ...data, evaluation_dataset_id];
  // Records of jobs made before there were such data lack them.
  return [...new Set(ids.filter((id) => id !== null && id !== undefined))];
}

export interface JobRecord extends StoredRecord, JobRequest {
  /** Digest of the idempotency key's request, to refuse the same key with another body. */
  readonly request_sha256: string;
  /** Whose it is; absent where it is nobody's. */
  readonly tenant?: string;
}

/** When an attempt began, from the queue's milliseconds: its server has a clock of its own, which may be behind that of the record. */
export function startOf({ created_at }: Pick<JobRecord, 'created_at'>, processedOn: number): string {
  const started_at = new Date(processedOn).toISOString();
  return started_at < created_at ? created_at : started_at;
}

/** Where a job is. */
export interface JobProgress {
  /** `inventory`, `score`, `decide`, `apply`, `evaluate`, `report`. */
  readonly stage: string;
  /** 0 to 100 over the whole job. */
  readonly percent: number;
}

/** Where a job was; events are numbered from 1 within the job. */
export interface ProgressEvent extends JobProgress {
  readonly id: number;
}

type Counts = 'n' | 'n_keep' | 'sparsity' | 'n_eff' | 'preserved_mass';

/** Of a job of an earlier version without what was measured. */
export type JobSummary = Pick<Summary, Counts> &
  Partial<Omit<Summary, Counts | 'preserved_mass_bound'>> & { readonly preserved_mass_bound: number | null };

export interface JobFailure {
  readonly code: string;
  readonly detail: string;
  readonly errors: readonly InputFinding[];
}

/** How a job ended: written once, to `result.json` of the job's folder, before the queue is told. */
export interface JobResult {
  readonly status: 'succeeded' | 'failed' | 'canceled';
  readonly started_at: string | null;
  readonly finished_at: string;
  readonly error: JobFailure | null;
  readonly summary: JobSummary | null;
  readonly artifacts: readonly Artifact[];
  /** What each stage took; null unless it succeeded. Not in an artifact: without evaluation data artifacts are the same for the same job. */
  readonly timings_ms: Readonly<Record<string, number>> | null;
  /** What its report warns of; absent of a job without a report, and of an earlier version. */
  readonly warnings?: readonly { readonly code: string; readonly text: string }[];
  /** Its events; results of an earlier version lack them. */
  readonly progress?: readonly ProgressEvent[];
}

/** A job as it stands: the request, and either its result or what the queue knows. */
export interface Job
  extends JobRequest,
    Prospect,
    Omit<JobResult, 'status' | 'finished_at' | 'progress' | 'warnings'> {
  readonly id: string;
  readonly status: JobStatus;
  readonly progress: JobProgress;
  readonly created_at: string;
  readonly finished_at: string | null;
}

/** One event of a job's life. `id` counts from 1 within the job; a reader that saw `id` asks for what came after. */
export type JobEvent<T = Job> =
  | { readonly id: number; readonly event: 'progress'; readonly data: JobProgress }
  | { readonly id: number; readonly event: 'succeeded' | 'failed' | 'canceled'; readonly data: T };

/** What its task is told of a job: everything else is in the store. */
export function messageOf({ model_id, tenant, request_id }: JobRecord): {
  model_id: string;
  tenant?: string;
  request_id?: string;
} {
  return {
    model_id,
    ...(tenant !== undefined && { tenant }),
    ...(request_id !== undefined && { request_id }),
  };
}

/** The task that computes a job. */
export function taskOf({ line, pruned_model_id }: JobRecord): 'explore' | 'compare' | 'prune' {
  if (line) return 'explore';
  return pruned_model_id === undefined ? 'prune' : 'compare';
}
