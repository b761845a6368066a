import { mayBeGuessed } from '../core/binomial.ts';
import { isLabeled } from './cost.ts';
import { figuresOf, isDownloadSmaller } from './decision-figures.ts';
import type { Decision } from './decision-schema.ts';
import { STATUSES, type Status, type UnsafeReason } from './decision-statuses.ts';
import { sentenceOf } from './decision-words.ts';
import { harmsBeyondPromise } from './harm.ts';
import { nextSteps } from './next-steps.ts';
import { isOnlyEstimated } from './promised-cost.ts';
import type { Evaluation, Undecided } from './report.ts';
import { isFaster, speedsOf } from './speed.ts';

/** Of the way from the dense loss to that of a guess, as good as all. */
const MOST_OF_THE_WAY = 0.9;

/**
 * What a report comes to: whether to ship the model, what is gained and lost, how sure that is, and what to do next.
 * @param isDoubtful whether a target would be refused for what the data, or onnxruntime's results, look like
 */
export function decisionOf(report: Undecided, isDoubtful: boolean): Decision {
  const reasons = unsafeReasons(report, isDoubtful);
  const status = statusOf(report, reasons);
  return {
    status,
    reasons,
    badge: STATUSES[status].badge,
    sentence: sentenceOf(report, status, reasons),
    figures: figuresOf(report),
    next: nextSteps(report, status, reasons),
  };
}

function statusOf(report: Undecided, reasons: readonly UnsafeReason[]): Status {
  const { evaluation, size_target } = report;
  if (reasons.length > 0) return 'unsafe';
  const asked = [evaluation?.search?.met, size_target?.met, evaluation?.speed_target?.met].filter(
    (met) => met !== undefined,
  );
  if (asked.includes(false)) return 'not_met';
  if (isNothingGained(report)) return 'nothing_gained';
  if (evaluation === null) return 'not_measured';
  // A promise says nothing of what it does not bound; of size or speed alone nothing of any cost.
  if (harmsBeyondPromise(evaluation).length > 0) return 'harmed';
  if (isOnlyEstimated(evaluation)) return 'estimated';
  return asked.length > 0 ? 'within' : 'measured';
}

/** Of a dry run nothing is known against it, unless all is kept. */
function isNothingGained({ total, sizes, structures, evaluation }: Undecided): boolean {
  const [speed] = speedsOf(evaluation);
  const isSmaller = isDownloadSmaller(sizes) ?? total.n_keep < total.n;
  const hasFewer =
    structures !== null &&
    (structures.parameters.pruned === null
      ? total.n_keep < total.n
      : structures.parameters.pruned < structures.parameters.dense);
  return !isSmaller && !hasFewer && !(speed && isFaster(speed));
}

function unsafeReasons(report: Undecided, isDoubtful: boolean): UnsafeReason[] {
  const { evaluation, verdict } = report;
  const isEmptied = verdict.warnings.some(({ code }) => code === 'layer_emptied');
  const found: Readonly<Record<UnsafeReason, boolean>> = {
    not_finite: evaluation !== null && isNotFinite(evaluation),
    doubtful_data: isDoubtful,
    dense_guesses: evaluation !== null && isDenseGuess(evaluation),
    one_answer: evaluation?.one_answer === true,
    guesses: evaluation !== null && isGuess(evaluation),
    far_off: evaluation !== null && !isLabeled(evaluation) && (evaluation.pruned.relative_l2 ?? 0) >= 1,
    layer_emptied: isEmptied,
  };
  return (Object.keys(found) as UnsafeReason[]).filter((reason) => found[reason]);
}

function isNotFinite(evaluation: Evaluation): boolean {
  const { pruned, metric_names } = evaluation;
  if (isLabeled(evaluation)) return pruned.loss === null;
  return metric_names.includes('relative_l2') && pruned.relative_l2 === null;
}

/** By its loss, and where there is an accuracy by that too: of a model that is sure of itself the loss says little. */
function isDenseGuess({ dense, guess, n_positions }: Evaluation): boolean {
  if (dense.loss === null || !guess || guess.loss === null || dense.loss < guess.loss) return false;
  return (
    dense.accuracy === null ||
    guess.accuracy === null ||
    mayBeGuessed(dense.accuracy, guess.accuracy, n_positions)
  );
}

/** Where the dense model is better than a guess, and the pruned one has lost all but a tenth of that. */
function isGuess(evaluation: Evaluation): boolean {
  const { dense, pruned, guess, n_positions } = evaluation;
  if (!guess || guess.loss === null || dense.loss === null || pruned.loss === null) return false;
  if (isDenseGuess(evaluation)) return false;
  if (pruned.accuracy === null || guess.accuracy === null) return pruned.loss >= guess.loss;
  const way = Math.max(0, guess.loss - dense.loss);
  return (
    pruned.loss >= dense.loss + MOST_OF_THE_WAY * way &&
    mayBeGuessed(pruned.accuracy, guess.accuracy, n_positions)
  );
}
