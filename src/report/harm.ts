import { targetOf } from '../recipe/target.ts';
import type { TargetName } from '../recipe/terms.ts';
import { costsOf, isLabeled, type Measured } from './cost.ts';
import type { Evaluation } from './report.ts';
import { ERRORS, percent } from './wording.ts';

/** What nobody would want to lose without having asked for it, relative to the dense loss, or in accuracy. */
const HARM = { max_loss_increase: 0.1, max_accuracy_drop: 0.01 };
const HARMFUL_AGREEMENT = 0.9;
/** R2 against the dense model, of outputs that predict no class. */
const HARMFUL_R2 = 0.5;
/** A limit is not exceeded by a rounding error. */
export const ROUNDING = 1 + 1e-9;

/** What a model is measured to have clearly lost. */
export interface Harm {
  readonly name: 'loss' | 'accuracy' | 'top1_agreement' | 'variance';
  readonly text: string;
}

/** What says of a target that a harm is no surprise. Where predictions are what is kept, a loss says only how sure they are. Of vectors whose direction is bounded the largest entry predicts nothing. */
const BOUNDED_BY: Readonly<Record<Harm['name'], readonly TargetName[]>> = {
  loss: ['max_loss_increase', 'max_accuracy_drop', 'max_disagreement'],
  accuracy: ['max_accuracy_drop', 'max_disagreement'],
  top1_agreement: ['max_disagreement', 'max_cosine_distance'],
  variance: ['max_cosine_distance'],
};

/** Whether a model is measured to be clearly worse than the dense one. */
export function isHarmful(evaluation: Evaluation, measured: Measured): boolean {
  return harmsOf(evaluation, measured).length > 0;
}

/** What the pruned model has clearly lost of what no target bounds, the plainest first. */
export function harmsBeyondPromise(evaluation: Evaluation): Harm[] {
  const { pruned, search, variance } = evaluation;
  const name = search === null ? undefined : targetOf(search)?.name;
  const explained = variance?.explained ?? null;
  const harms = harmsOf(evaluation, pruned);
  const isFlat = !isLabeled(evaluation) && pruned.top1_agreement === null && explained !== null;
  if (isFlat && explained < HARMFUL_R2)
    harms.push({
      name: 'variance',
      text: `outputs explain ${percent(Math.max(0, explained))} of the dense variance`,
    });
  return harms.filter((harm) => name === undefined || !BOUNDED_BY[harm.name].includes(name));
}

function harmsOf(evaluation: Evaluation, measured: Measured): Harm[] {
  if (!isLabeled(evaluation)) {
    const { top1_agreement: agreement } = measured;
    if (agreement === null || agreement >= HARMFUL_AGREEMENT) return [];
    return [{ name: 'top1_agreement', text: `only ${percent(agreement)} of the predictions stay` }];
  }
  return costsOf(evaluation, measured)
    .filter(({ change, allowedBy, isNoise }) => change > (allowedBy(HARM) ?? 0) * ROUNDING && !isNoise)
    .map(({ name, change, show }): Harm => {
      if (name === 'accuracy') return { name, text: `accuracy ${show(change)} lower` };
      return { name: 'loss', text: `loss ${show(change)} higher` };
    })
    .reverse();
}

/** Above the limit, and not by chance where the standard error is known. */
export function exceeds(value: number, limit: number, standardError: number | null): boolean {
  return value > limit * ROUNDING && (standardError === null || value > ERRORS * standardError);
}
