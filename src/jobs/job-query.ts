import type { Summary } from '../report/summary.ts';
import type { Job, JobRequest, JobStatus } from './job.ts';

/** Figures of a summary that lists are sorted by. */
export const JOB_FIGURES = [
  'sparsity',
  'loss',
  'accuracy',
  'relative_l2',
  'top1_agreement',
  'pruned_bytes',
  'pruned_zstd_bytes',
  'pruned_macs',
  'speedup',
] as const satisfies readonly (keyof Summary)[];
export type JobFigure = (typeof JOB_FIGURES)[number];

/** A figure, least first, or with a minus in front, largest first. */
export type JobOrder = JobFigure | `-${JobFigure}`;

/** What a list is asked for by: a filter, and an order beside it. */
export interface JobQuery extends JobFilter {
  readonly order?: JobOrder | undefined;
}

/** What the jobs of a list have in common. */
export interface JobFilter {
  readonly status?: JobStatus | undefined;
  readonly model_id?: string | undefined;
  readonly search_id?: string | undefined;
  readonly met?: boolean | undefined;
}

/** What of an order counts: the figure, and whether its largest come first. */
export function figureOf<Figure extends string>(
  order: Figure | `-${Figure}`,
): { figure: Figure; isDescending: boolean } {
  const isDescending = order.startsWith('-');
  return { figure: order.slice(Number(isDescending)) as Figure, isDescending };
}

/** All orders by these figures. */
export function ordersOf<Figure extends string>(
  figures: readonly Figure[],
): readonly (Figure | `-${Figure}`)[] {
  return figures.flatMap((figure) => [figure, `-${figure}` as const]);
}

/** Whether a job may be one of those, as far as its request tells. */
export function fitsRequest(
  { model_id, search_id }: JobFilter,
  request: Pick<JobRequest, 'model_id' | 'search_id'>,
): boolean {
  const isOfModel = model_id === undefined || model_id === request.model_id;
  return isOfModel && (search_id === undefined || search_id === request.search_id);
}

/** The same, as far as it tells whether the job has ended. */
export function fitsUnfinished({ status, met }: JobFilter, isUnfinished: boolean): boolean {
  if (met !== undefined && isUnfinished) return false;
  return status === undefined || (status === 'queued' || status === 'running') === isUnfinished;
}

/** The same, as far as it tells how the job stands. */
export function fitsState({ status, met }: JobFilter, job: Pick<Job, 'status' | 'summary'>): boolean {
  const isOfStatus = status === undefined || status === job.status;
  return isOfStatus && (met === undefined || met === job.summary?.met);
}
