import type { Job } from '../jobs/job.ts';
import { laneOf, priorityOf } from '../jobs/job-lanes.ts';
import type { JobView } from './job-schemas.ts';
import { createProblem, inFields } from './problem.ts';

/** A job as clients see it: its failure as a problem, its artifacts with a place to fetch them. */
export function viewOfJob(job: Job): JobView {
  const path = `/v1/jobs/${job.id}`;
  const { error } = job;
  return {
    id: job.id,
    status: job.status,
    progress: job.progress,
    search_id: job.search_id ?? null,
    model_id: job.model_id,
    pruned_model_id: job.pruned_model_id ?? null,
    scores_dataset_id: job.scores_dataset_id,
    // Records of jobs made before there were such data lack them.
    calibration_dataset_id: job.calibration_dataset_id ?? null,
    selection_dataset_id: job.selection_dataset_id ?? null,
    evaluation_dataset_id: job.evaluation_dataset_id ?? null,
    recipe: job.recipe,
    priority: priorityOf(job),
    lane: laneOf(job),
    position: job.position,
    eta: job.eta,
    created_at: job.created_at,
    started_at: job.started_at,
    finished_at: job.finished_at,
    error: error && createProblem(error.code, error.detail, path, inFields(error.errors)),
    summary: job.summary,
    artifacts: job.artifacts.map((artifact) => ({
      ...artifact,
      url: `${path}/artifacts/${encodeURIComponent(artifact.name)}`,
    })),
    metadata: { ...job.metadata },
  };
}
