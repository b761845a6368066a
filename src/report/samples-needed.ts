/** How many evaluation samples a promise takes, counted as a client gives them: of those that are halved both halves. */
import { targetOf } from '../recipe/target.ts';
import type { Evaluation } from './report.ts';
import { excessOver, standardErrorOf } from './target-excess.ts';
import { ERRORS } from './wording.ts';

/** At which a promise is all but sure to be shown. */
const SURE_ERRORS = 3;
/** Larger evaluation sets are not proposed. */
export const MAX_SAMPLES = 1e9;

interface SamplesNeeded {
  /** Fewer are refused with a confidence, whatever the model; null where no number can show the limit. */
  readonly atLeast: number | null;
  /** With which this model would be shown, were its cost as measured; null where it is beyond the limit, or no set is large enough. */
  readonly likely: number | null;
}

/** Null without a target of quality. */
export function samplesNeeded(evaluation: Evaluation): SamplesNeeded | null {
  const { search, dense, pruned, n_samples } = evaluation;
  const asked = search && targetOf(search);
  if (!asked) return null;
  const sets = search.seed === null ? 1 : 2;
  const { n_needed } = search.promise;
  const error = standardErrorOf(search.target, pruned);
  const room = -excessOver(search.target, dense, pruned);
  if (n_needed === null) return { atLeast: null, likely: null };
  const atLeast = sets * n_needed;
  if (error === null || !(room > 0)) return { atLeast, likely: null };
  const limit = asked.name === 'max_loss_increase' ? asked.limit * (dense.loss ?? 0) : asked.limit;
  // Standard errors shrink with the square root of the number of samples.
  const errors = Math.max((SURE_ERRORS * error) / room, (ERRORS * error) / limit);
  const wanted = Math.max(atLeast, roundedUp(sets * n_samples * errors ** 2));
  return { atLeast, likely: wanted <= MAX_SAMPLES ? wanted : null };
}

/** To two digits. */
export function roundedUp(value: number): number {
  if (!(value > 0 && Number.isFinite(value))) return value;
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(value)) - 1);
  return Math.ceil(value / unit) * unit;
}

/** The evaluation samples that came. */
export function samplesGiven({ search, n_samples }: Evaluation): number {
  return n_samples + (search && search.seed !== null ? search.n_samples : 0);
}
