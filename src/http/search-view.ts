import { dropOf, isWithin, type ToldCandidate } from '../jobs/external-step.ts';
import { figureOf } from '../jobs/job-query.ts';
import { inTermsOfSearch, type LineJob, type SearchRecord } from '../jobs/search-lines.ts';
import { percentOf, type Search } from '../jobs/search-reader.ts';
import type { Candidate } from '../pipeline/explore.ts';
import { AIMS, type ExternalMetric, targetOfTerms } from '../recipe/lines.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { excessOver, standardErrorOf } from '../report/target-excess.ts';
import { viewOfJob } from './job-view.ts';
import { createProblem, inFields } from './problem.ts';
import type {
  CandidateFigure,
  CandidateQuery,
  CandidatesView,
  SearchEntryView,
  SearchView,
} from './search-schemas.ts';

/** A search in a list. */
export function entryOfSearch(search: Search): SearchEntryView {
  const { record, result, lines, told, written, best } = search;
  const { id, terms } = record;
  const path = `/v1/searches/${id}`;
  const error = result?.error ?? null;
  const isBegun = [...lines, ...told].some(({ job }) => job !== null && job.status !== 'queued');
  const isWaiting = told.some(({ job, metric }) => job?.status === 'succeeded' && metric === null);
  const isDenseMissing = told.some(({ metric }) => metric !== null) && told[0].metric === null;
  const stage = best ? 'write' : isBegun ? 'explore' : 'queued';
  return {
    id,
    status: result?.status ?? (isWaiting || isDenseMissing ? 'waiting' : isBegun ? 'running' : 'queued'),
    progress: { stage, percent: percentOf(search) },
    model_id: record.model_id,
    calibration_dataset_id: record.calibration_dataset_id,
    selection_dataset_id: record.selection_dataset_id ?? null,
    evaluation_dataset_id: record.evaluation_dataset_id,
    promise: { ...terms.promise },
    aim: terms.aim,
    created_at: record.created_at,
    finished_at: result?.finished_at ?? null,
    error: error && createProblem(error.code, error.detail, path, inFields(inTermsOfSearch(error.errors))),
    best: best && {
      recipe: { ...best.recipe },
      job: viewOfJob(best),
      // By a metric of the client's own only one that is within becomes the best.
      met: terms.promise.external ? true : (best.summary?.met ?? null),
      certified: best.summary?.certified ?? null,
      missed: written.filter(({ id }) => id !== best.id).map((job) => job.id),
    },
    metadata: { ...record.metadata },
  };
}

/** A search with all that it has tried. */
export function viewOfSearch(search: Search): SearchView {
  const { record, result, lines, told } = search;
  const { terms, left_out } = record;
  const target = targetOfTerms(terms);
  const dense = lines.find(({ exploration }) => exploration !== null)?.exploration?.dense ?? null;
  const candidates = lines.flatMap(({ recipe, exploration }, line) =>
    (exploration?.candidates ?? []).map((candidate) => ({ line, recipe, candidate })),
  );
  return {
    ...entryOfSearch(search),
    limits: { ...terms.limits },
    allow: { ...terms.allow },
    seed: terms.seed,
    dense: dense && {
      parameters: dense.parameters,
      bytes: dense.bytes,
      compressed_bytes: dense.compressed_bytes,
      macs: dense.macs,
      loss: dense.loss,
      accuracy: dense.accuracy,
    },
    candidates: candidates.map(({ line, recipe, candidate }) => viewOfCandidate(line, recipe, candidate)),
    front: frontOf(
      candidates.map(({ candidate }) => [
        candidate[AIMS[terms.aim].lessens] ?? Number.POSITIVE_INFINITY,
        dense && target ? excessOver(target, dense, candidate) : Number.POSITIVE_INFINITY,
      ]),
    ),
    external: terms.promise.external ? viewOfTold(record, terms.promise.external, told) : null,
    lines: lines.map(({ recipe, job }) => ({
      recipe: { ...recipe },
      job_id: job?.id ?? null,
      status: job?.status ?? (result && !terms.promise.external ? 'not_tried' : 'waiting'),
      error: job && whyLeft(job, result?.status ?? null),
    })),
    left_out: left_out.map(({ recipe, reason }) => ({ recipe: { ...recipe }, reason })),
    doubts: [...new Set(lines.flatMap(({ exploration }) => exploration?.doubts ?? []))],
  };
}

/** Some of its candidates, in an order. */
export function candidatesOf(search: Search, { within, line, sort }: CandidateQuery): CandidatesView {
  const asked = viewOfSearch(search)
    .candidates.map((candidate, number) => ({ number, ...candidate }))
    .filter((candidate) => within === undefined || String(candidate.within) === within)
    .filter((candidate) => line === undefined || candidate.line === line);
  if (sort === undefined) return { data: asked };
  const { figure, isDescending } = figureOf<CandidateFigure>(sort);
  const valued = asked.flatMap((candidate) => {
    const value = candidate[figure];
    return value === null ? [] : [{ candidate, value }];
  });
  valued.sort((a, b) => (isDescending ? b.value - a.value : a.value - b.value));
  return { data: valued.map(({ candidate }) => candidate) };
}

/** Why a line came to nothing; null where it did not. */
function whyLeft({ status, error }: LineJob, end: SearchEntryView['status'] | null): string | null {
  const isOverTime = status === 'canceled' && end !== 'canceled';
  return isOverTime ? 'The time of the search was over.' : (error?.detail ?? null);
}

function viewOfTold(
  { lines: [{ recipe }] }: SearchRecord,
  external: ExternalMetric,
  told: readonly ToldCandidate[],
): SearchView['external'] {
  const dense = told[0].metric;
  return told
    .filter(({ job }, number) => number === 0 || job !== null)
    .map(({ job, beta, metric }) => {
      const drop = metric === null || dense === null ? null : dropOf(external, dense, metric);
      return {
        recipe: job === null ? null : { ...recipe, beta },
        job_id: job?.id ?? null,
        status: job?.status ?? 'succeeded',
        metric,
        // Of values that an earlier version took, it may be more than a number holds.
        drop: drop === null || !Number.isFinite(drop) ? null : drop,
        within: drop === null ? null : isWithin(external, drop),
        sparsity: job === null ? 0 : (job.summary?.sparsity ?? null),
        bytes: job?.summary?.pruned_bytes ?? null,
        compressed_bytes: job?.summary?.pruned_zstd_bytes ?? null,
      };
    });
}

function viewOfCandidate(
  line: number,
  recipe: Recipe,
  candidate: Candidate,
): SearchView['candidates'][number] {
  const { beta, sparsity, parameters, bytes, compressed_bytes, macs, relative_latency } = candidate;
  const { loss, accuracy, top1_agreement, kl, cosine_distance, relative_l2, is_within } = candidate;
  return {
    line,
    recipe: { ...recipe, beta },
    ...{ sparsity, parameters, bytes, compressed_bytes, macs },
    speedup: relative_latency === null ? null : 1 / relative_latency,
    // Those of an earlier version lack it.
    speedup_is_difference: candidate.latency_differs ?? null,
    ...{ loss, accuracy, top1_agreement, kl, cosine_distance, relative_l2 },
    standard_error: recipe.target ? standardErrorOf(recipe.target, candidate) : null,
    within: is_within,
  };
}

/** Of points `[amount, cost]` the places of those that no other is below in both, by amount. */
export function frontOf(points: readonly (readonly [amount: number, cost: number])[]): number[] {
  const order = [...points.keys()].sort(
    (a, b) => points[a][0] - points[b][0] || points[a][1] - points[b][1] || a - b,
  );
  let least = Number.POSITIVE_INFINITY;
  return order.filter((place) => {
    const cost = points[place][1];
    if (cost >= least) return false;
    least = cost;
    return true;
  });
}
