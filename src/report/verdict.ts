import { GRANULARITIES } from '../recipe/terms.ts';
import {
  betasTried,
  describeCost,
  describePromise,
  describeRepair,
  describeSamples,
  describeTarget,
} from './cost.ts';
import { movedTensors } from './moved-weights.ts';
import type { Evaluation, Report } from './report.ts';
import { describeReached, describeSizeRule } from './size-words.ts';
import { isSmaller } from './smaller.ts';
import { describeRatio, type Speed, speedsOf } from './speed.ts';
import { describeSpeedReached, describeSpeedRule } from './speed-words.ts';
import type { VerdictFacts } from './verdict-facts.ts';
import { isPartlyReached, warningsOf } from './warnings.ts';
import { bytes, count, counted, guarantee, number, percent, times } from './wording.ts';

/** One sentence that sells nothing: how much goes, what is known of the cost, and what gets smaller; and what to beware of. */
export function createVerdict(facts: VerdictFacts): Report['verdict'] {
  const { total, sizes, structures, evaluation, repair, granularity } = facts;
  const all = counted(total.n, GRANULARITIES[granularity].unit);
  const removes = sizes.pruned_bytes === null ? 'would remove' : 'removes';
  const clauses =
    total.n_keep === total.n && !repair.some(({ kept }) => kept)
      ? [`${ruleClause(facts)} ${removes} none of ${all}`]
      : [
          `${ruleClause(facts)} ${removes} ${count(total.n - total.n_keep)} of ${all} (${percent(total.sparsity)})`,
          `what stays holds ${percent(total.preserved_mass)} of the importance mass${guaranteeClause(facts)}`,
          ...allocationClauses(facts),
          ...repairClauses(facts),
          costClause(evaluation),
        ];
  const size = structures === null ? sizeClause(sizes) : smallerClause(facts, structures);
  const targets = [
    ...(facts.size_target ? [`it takes ${describeReached(facts.size_target)}`] : []),
    ...(evaluation?.speed_target ? [`it is measured ${describeSpeedReached(evaluation.speed_target)}`] : []),
  ];
  const text = `${reachClause(facts)}${[...clauses, size, ...targets].join('; ')}.`;
  return { text, warnings: warningsOf(facts) };
}

/** Nothing is guaranteed of masks that a repair chose. */
function guaranteeClause({ total, repair }: VerdictFacts): string {
  return movedTensors(repair).size > 0 ? '' : ` (guaranteed: ${guarantee(total.preserved_mass_bound)})`;
}

/** What all else is not about comes first. */
function reachClause({ untouched }: VerdictFacts): string {
  if (!isPartlyReached(untouched)) return '';
  return `${percent(untouched.share)} of the parameters were out of reach and stay as they are; of the rest: `;
}

function ruleClause({ beta, evaluation, size_target }: VerdictFacts): string {
  if (beta === null) return 'The fixed budget';
  if (!evaluation?.search && size_target) return describeSizeRule(size_target);
  if (evaluation && !evaluation.search && evaluation.speed_target)
    return describeSpeedRule(evaluation.speed_target);
  if (!evaluation?.search) return beta === 1 ? 'EMP' : `EMP at beta ${number(beta)}`;
  const { target, met, found, given: isGiven } = evaluation.search;
  const tried = betasTried(evaluation.search);
  const within = describeTarget(target);
  if (isGiven && (met || target.confidence === undefined))
    return `EMP at beta ${number(beta)}, which ${met ? 'stays' : 'does not stay'} within ${within},`;
  if (met) return `EMP at beta ${number(beta)}, the smallest of ${tried} tried that stays within ${within},`;
  if (target.confidence !== undefined)
    return `No beta is shown to stay within ${within}; EMP at beta ${number(beta)}, the mildest that was tested,`;
  if (found)
    return `EMP at beta ${number(beta)}, within ${within} on the samples that it was searched on and not on others,`;
  return `No beta of ${tried} tried stays within ${within}; EMP at beta ${number(beta)}, the nearest,`;
}

function allocationClauses({ allocation }: VerdictFacts): string[] {
  if (allocation === null) return [];
  const { rule, candidates, moves } = allocation;
  const moved = moves === null ? '' : `, and by ${moves.n_kept} of ${moves.n_tried} moves`;
  return [
    `shared among the tensors by ${rule}, of ${candidates.length} rules the nearest to the dense model${moved}`,
  ];
}

function repairClauses({ repair, evaluation }: VerdictFacts): string[] {
  const kept = repair.filter((step) => step.kept);
  const undone = repair.filter((step) => !step.kept);
  return [
    ...(kept.length > 0
      ? [`repaired by ${kept.map((step) => `${step.name}${describeRepair(step, evaluation)}`).join(', ')}`]
      : []),
    ...(undone.length > 0 ? [`not repaired by ${undone.map(({ name }) => name).join(', ')}`] : []),
  ];
}

function costClause(evaluation: Evaluation | null): string {
  if (!evaluation) return 'what that costs in accuracy was not measured';
  const { search } = evaluation;
  const unseen = search ? ' that no choice saw' : '';
  const promise = search?.met ? `; ${describePromise(search)}` : '';
  return `measured on ${describeSamples(evaluation)}${unseen}: ${describeCost(evaluation)}${promise}`;
}

/** What a model without some of its structures saves. */
function smallerClause(
  { total, sizes, evaluation }: VerdictFacts,
  { parameters }: NonNullable<Report['structures']>,
): string {
  if (sizes.pruned_bytes === null || parameters.pruned === null)
    return 'this was a dry run, no model was written';
  if (total.n_keep === total.n) return `the model keeps its ${count(parameters.dense)} parameters`;
  const goes = isSmaller(sizes) ? 'the model goes' : 'the model gets no smaller: it goes';
  const size =
    `${goes} from ${bytes(sizes.dense_bytes)} to ${bytes(sizes.pruned_bytes)} ` +
    `(${count(parameters.pruned)} of ${count(parameters.dense)} parameters)`;
  const speeds = speedsOf(evaluation);
  if (speeds.length === 0) return `${size}, and whether it is faster was not measured`;
  return `${size}, and a batch is measured to take ${speeds.map(speedAtLevel).join(', or ')}`;
}

/** `47.32 ms in place of 62.09 (1.31 x as fast)`. */
function speedAtLevel(speed: Speed): string {
  const level = speed.level === 'all' ? '' : `at onnxruntime's optimization level ${speed.level} `;
  return `${level}${number(speed.pruned)} ms in place of ${number(speed.dense)} (${describeRatio(speed)})`;
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
  const change =
    ratio < 0.995
      ? 'larger'
      : ratio < 1.005
        ? 'no smaller'
        : `${times(dense_zstd_bytes, pruned_zstd_bytes)} x smaller`;
  return (
    `the model keeps its ${bytes(pruned_bytes)}, compressed by zstd it goes from ${about}${bytes(dense_zstd_bytes)} ` +
    `to ${about}${bytes(pruned_zstd_bytes)} (${change}), and zeros in place do not make onnxruntime faster`
  );
}
