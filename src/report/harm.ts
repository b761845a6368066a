import { costsOf, isLabeled, type Measured } from './cost.ts';
import type { Evaluation } from './report.ts';
import { ERRORS } from './wording.ts';

/** What nobody would want to lose without having asked for it, relative to the dense loss, or in accuracy. */
const HARM = { max_loss_increase: 0.1, max_accuracy_drop: 0.01 };
const HARMFUL_AGREEMENT = 0.9;
/** A limit is not exceeded by a rounding error. */
export const ROUNDING = 1 + 1e-9;

/** Whether a model is measured to be clearly worse than the dense one. */
export function isHarmful(evaluation: Evaluation, measured: Measured): boolean {
  if (!isLabeled(evaluation))
    return measured.top1_agreement !== null && measured.top1_agreement < HARMFUL_AGREEMENT;
  return costsOf(evaluation, measured).some(({ change, allowedBy, standardError }) =>
    exceeds(change, allowedBy(HARM) ?? 0, standardError),
  );
}

/** Above the limit, and not by chance where the standard error is known. */
export function exceeds(value: number, limit: number, standardError: number | null): boolean {
  return value > limit * ROUNDING && (standardError === null || value > ERRORS * standardError);
}
