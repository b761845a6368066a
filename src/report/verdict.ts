import { describeCost, describeSamples, describeTarget } from './cost.ts';
import type { Figures } from './figures.ts';
import type { Evaluation, Report } from './report.ts';
import { warningsOf } from './warnings.ts';
import { bytes, count, guarantee, number, percent } from './wording.ts';

/** One sentence that sells nothing: how much goes, what is known of the cost, and what gets smaller; and what to beware of. */
export function createVerdict(figures: Figures): Report['verdict'] {
  const { total, sizes, evaluation } = figures;
  const removes = sizes.pruned_bytes === null ? 'would remove' : 'removes';
  const clauses =
    total.n_keep === total.n
      ? [`${ruleClause(figures)} ${removes} none of ${count(total.n)} weights`]
      : [
          `${ruleClause(figures)} ${removes} ${count(total.n - total.n_keep)} of ${count(total.n)} weights (${percent(total.sparsity)})`,
          `what stays holds ${percent(total.preserved_mass)} of the importance mass (guaranteed: ${guarantee(total.preserved_mass_bound)})`,
          costClause(evaluation),
        ];
  return { text: `${[...clauses, sizeClause(sizes)].join('; ')}.`, warnings: warningsOf(figures) };
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
  const { dense, pruned } = evaluation;
  return `measured on ${describeSamples(evaluation)}: ${describeCost(dense, pruned)}`;
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
