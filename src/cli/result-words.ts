import { GRANULARITIES } from '../recipe/terms.ts';
import { describeTarget } from '../report/cost.ts';
import { describePromised, isOnlyEstimated } from '../report/promised-cost.ts';
import type { Evaluation } from '../report/report.ts';
import {
  accuracy,
  bytes,
  count,
  ERRORS,
  formatChange,
  formatPoints,
  number,
  percent,
  times,
} from '../report/wording.ts';
import type { CandidateView, JobView, MeasuredCost, ReportView, SearchView } from './job-views.ts';
import { EXIT, type ExitCode } from './refusal.ts';

/** The widest of the words that lines begin with. */
const WIDTH = 10;
const SHOWN_TENSORS = 40;

/** Lines of a word and what there is to say of it. */
export function labelled(lines: readonly (readonly [label: string, text: string])[]): string {
  return lines.map(([label, text]) => `${label.padEnd(WIDTH)}${text}\n`).join('');
}

/** `2.42 times, compressed (295 kB to 122 kB); 66.0 % of the weights are gone`. */
export function sizeWords(
  { sizes, total, evaluation }: ReportView,
  { granularity }: JobView['recipe'],
): string {
  const { dense_bytes, pruned_bytes, dense_zstd_bytes, pruned_zstd_bytes } = sizes;
  const unit = GRANULARITIES[granularity as keyof typeof GRANULARITIES].unit.many;
  const gone = `${percent(total.sparsity)} of ${count(total.n)} ${unit} are gone`;
  if (pruned_bytes === null || pruned_zstd_bytes === null) return `${gone}; a dry run writes no model`;
  const compressed = `${times(dense_zstd_bytes, pruned_zstd_bytes)} times compressed (${bytes(dense_zstd_bytes)} to ${bytes(pruned_zstd_bytes)})`;
  const plain =
    pruned_bytes < dense_bytes
      ? `${times(dense_bytes, pruned_bytes)} times (${bytes(dense_bytes)} to ${bytes(pruned_bytes)}), `
      : '';
  // Zeros in place are multiplied like any other number.
  const { dense, pruned } = granularity === 'weight' ? {} : (evaluation ?? {});
  const [before, after] = [dense?.latency_ms ?? null, pruned?.latency_ms ?? null];
  const speed = before !== null && after !== null ? `; ${times(before, after)} times as fast` : '';
  return `${plain}${compressed}; ${gone}${speed}`;
}

/** What it costs, with standard errors, on what samples. */
export function costWords(evaluation: MeasuredCost | null): string {
  if (evaluation === null) return 'not measured: give evaluation data with --data';
  return `${costsOf(evaluation).join(', ')}; on ${count(evaluation.n_samples)} samples`;
}

/** Of two models each figure that was measured. */
export function costsOf({ dense, pruned }: Pick<MeasuredCost, 'dense' | 'pruned'>): string[] {
  const { cosine_distance = null, cosine_distance_standard_error } = pruned;
  const said: string[] = [];
  if (dense.accuracy !== null && pruned.accuracy !== null)
    said.push(
      `accuracy ${accuracy(dense.accuracy)} to ${accuracy(pruned.accuracy)} (${formatPoints(pruned.accuracy - dense.accuracy, pruned.accuracy_drop_standard_error)})`,
    );
  if (dense.loss !== null && pruned.loss !== null)
    said.push(
      `loss ${number(dense.loss)} to ${number(pruned.loss)} (${formatChange(pruned.loss - dense.loss, pruned.loss_increase_standard_error)})`,
    );
  if (pruned.top1_agreement !== null)
    said.push(
      `another class on ${percent(1 - pruned.top1_agreement)}${error(pruned.disagreement_standard_error, percent)}`,
    );
  if (pruned.kl !== null) said.push(`KL ${number(pruned.kl)}${error(pruned.kl_standard_error, number)}`);
  if (pruned.relative_l2 !== null)
    said.push(
      `relative distance ${number(pruned.relative_l2)}${error(pruned.relative_l2_standard_error, number)}`,
    );
  if (cosine_distance !== null)
    said.push(`cosine distance ${number(cosine_distance)}${error(cosine_distance_standard_error, number)}`);
  return said;
}

/** Whether the promise is kept, what was measured of it, and how sure that is; null of a job without one. */
export function promiseWords(evaluation: Evaluation | null, met: boolean | null | undefined): string | null {
  if (met === null || met === undefined) return null;
  const kept = met ? 'kept' : 'not kept';
  const search = evaluation?.search;
  if (!search) return kept;
  const samples = `on ${count(evaluation.n_samples)} samples that no choice saw`;
  const measured = describePromised(search.target, evaluation);
  if (met && isOnlyEstimated(evaluation))
    return `${kept}, by estimate alone: ${measured}; ${samples}, which cannot exclude more`;
  return `${kept}: ${describeTarget(search.target)}, ${samples}; measured: ${measured}`;
}

/** What a report decides against its model, whatever was promised; none where it says nothing against it. */
export function decisionLines({
  decision: { status, sentence },
}: ReportView): (readonly [label: string, text: string])[] {
  return status === 'unsafe' || status === 'harmed' ? [['decision', sentence]] : [];
}

/** What a run with a promise, if one was asked for, ends with: a model that is dead or broken keeps none. */
export function exitCodeOf(met: boolean | null | undefined, decision: string | undefined): ExitCode {
  if (met === null || met === undefined) return EXIT.kept;
  return met && decision !== 'unsafe' ? EXIT.kept : EXIT.notKept;
}

/** The models of a search that nothing else tried beats both in size and in cost, the smallest first. */
export function frontTable({ dense, front, candidates }: SearchView): string {
  const row = (
    name: string,
    { compressed_bytes, loss, accuracy: share }: NonNullable<SearchView['dense']>,
  ) => [
    name,
    bytes(compressed_bytes),
    dense ? times(dense.compressed_bytes, compressed_bytes) : '',
    loss === null ? '' : number(loss),
    dense?.loss && loss !== null ? `${((100 * (loss - dense.loss)) / dense.loss).toFixed(1)} %` : '',
    share === null ? '' : accuracy(share),
  ];
  const shown = front.slice(0, SHOWN_TENSORS).map((place) => candidates[place]);
  return table([
    ['recipe', 'compressed', 'times smaller', 'loss', 'more', 'accuracy', 'within'],
    ...(dense ? [[...row('the model itself', dense), '']] : []),
    ...shown.toReversed().map((one) => [...row(recipeWords(one.recipe), one), one.within ? 'yes' : 'no']),
  ]);
}

/** `wanda of each weight + batch_norm`. */
export function recipeWords({ criterion, granularity, repair }: CandidateView['recipe']): string {
  const repairs = Array.isArray(repair) && repair.length > 0 ? ` + ${repair.join(' + ')}` : '';
  return `${criterion} of each ${granularity}${repairs}`;
}

/** Columns: numbers stand to the right. @param texts the columns that are text */
export function table(rows: readonly (readonly string[])[], texts: readonly number[] = [0]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((cells) => cells[column]?.length ?? 0)),
  );
  const pad = (cell: string, i: number) =>
    texts.includes(i) ? cell.padEnd(widths[i]) : cell.padStart(widths[i]);
  return rows.map((cells) => `  ${cells.map(pad).join('  ').trimEnd()}\n`).join('');
}

function error(standardError: number | null | undefined, show: (value: number) => string): string {
  return standardError == null ? '' : ` ± ${show(ERRORS * standardError)}`;
}
