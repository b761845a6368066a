import { describeCost, describeSamples, describeTarget } from './cost.ts';
import type { Figures } from './figures.ts';
import { repairClauses } from './repairs.ts';
import type { Evaluation, Report } from './report.ts';
import { describeSpeed, type Speed, speedsOf } from './speed.ts';
import { warningsOf } from './warnings.ts';
import { bytes, count, countUnits, guarantee, number, percent } from './wording.ts';

/** One sentence that sells nothing: how much goes, what is known of the cost, and what gets smaller; and what to beware of. */
export function createVerdict(figures: Figures): Report['verdict'] {
  const { total, sizes, structures, evaluation, repair, granularity } = figures;
  const removes = sizes.pruned_bytes === null ? 'would remove' : 'removes';
  const clauses =
    total.n_keep === total.n && !repair.some(({ kept }) => kept)
      ? [`${ruleClause(figures)} ${removes} none of ${countUnits(total.n, granularity)}`]
      : [
          `${ruleClause(figures)} ${removes} ${count(total.n - total.n_keep)} of ${countUnits(total.n, granularity)} (${percent(total.sparsity)})`,
          `what stays holds ${percent(total.preserved_mass)} of the importance mass (guaranteed: ${guarantee(total.preserved_mass_bound)})`,
          ...repairClauses(figures),
          costClause(evaluation),
        ];
  const size = structures === null ? sizeClause(sizes) : smallerClause(figures, structures);
  return { text: `${[...clauses, size].join('; ')}.`, warnings: warningsOf(figures) };
}

function ruleClause({ beta, evaluation }: Figures): string {
  if (beta === null) return 'The fixed budget';
  if (!evaluation?.search) return beta === 1 ? 'EMP' : `EMP at beta ${number(beta)}`;
  const { target, met, evaluations } = evaluation.search;
  const tried = new Set(evaluations.map((point) => point.beta)).size;
  return met
    ? `EMP at beta ${number(beta)}, the smallest of ${tried} tried that stays within ${describeTarget(target)},`
    : `No beta of ${tried} tried stays within ${describeTarget(target)}; EMP at beta ${number(beta)}, the nearest,`;
}

function costClause(evaluation: Evaluation | null): string {
  if (!evaluation) return 'what that costs in accuracy was not measured';
  return `measured on ${describeSamples(evaluation)}: ${describeCost(evaluation)}`;
}

/** What a model without some of its structures saves. */
function smallerClause(
  { total, sizes, evaluation }: Figures,
  { parameters }: NonNullable<Report['structures']>,
): string {
  if (sizes.pruned_bytes === null || parameters.pruned === null)
    return 'this was a dry run, no model was written';
  if (total.n_keep === total.n) return `the model keeps its ${count(parameters.dense)} parameters`;
  const size =
    `the model goes from ${bytes(sizes.dense_bytes)} to ${bytes(sizes.pruned_bytes)} ` +
    `(${count(parameters.pruned)} of ${count(parameters.dense)} parameters)`;
  const speeds = speedsOf(evaluation);
  if (speeds.length === 0) return `${size}, and whether it is faster was not measured`;
  return `${size}, and a batch is measured to take ${speeds.map(speedAtLevel).join(', or ')}`;
}

function speedAtLevel(speed: Speed): string {
  const level = speed.level === 'all' ? '' : `at onnxruntime's optimization level ${speed.level} `;
  return `${level}${describeSpeed(speed)}`;
}

function sizeClause({
  pruned_bytes,
  dense_zstd_bytes,
  pruned_zstd_bytes,
  zstd_estimated,
}: Report['sizes']): string {
  if (pruned_bytes === null || pruned_zstd_bytes === null) return 'this was a dry run, no model was written';
  const about = zstd_estimated ? 'about ' : '';
  const ratio = dense_zstd_bytes / pruned_zstd_bytes;
  const change = ratio < 0.995 ? 'larger' : ratio < 1.005 ? 'no smaller' : `${ratio.toFixed(2)} x smaller`;
  return (
    `the model keeps its ${bytes(pruned_bytes)}, compressed by zstd it goes from ${about}${bytes(dense_zstd_bytes)} ` +
    `to ${about}${bytes(pruned_zstd_bytes)} (${change}), and zeros in place do not make onnxruntime faster`
  );
}
