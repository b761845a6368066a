import { type Target, targetOf } from '../recipe/target.ts';
import type { TargetName } from '../recipe/terms.ts';
import type { Measured } from '../report/cost.ts';
import { excessOver, STANDARD_ERRORS } from '../report/target-excess.ts';
import { bytes, number, percent, times } from '../report/wording.ts';
import { flagOfField } from './flags.ts';
import type { CandidateView, SearchView } from './job-views.ts';
import { costsOf, recipeWords } from './result-words.ts';

/** The candidate that comes nearest to a promise that none keeps. */
interface Miss {
  readonly candidate: CandidateView;
  readonly name: TargetName;
  readonly measured: Measured;
  /** The limit that it would have stayed within by a standard error, as a search asks. */
  readonly needed: number;
}

/** Digits of a limit that is proposed. */
const DIGITS = 2;

/** Null where nothing was measured. */
export function closestMiss({ promise, dense, candidates }: SearchView): Miss | null {
  const asked = targetOf({ target: promise });
  if (asked === null || dense === null) return null;
  // A loss may grow by a share of what it is.
  const unit = asked.name === 'max_loss_increase' ? (dense.loss ?? 1) : 1;
  const misses = candidates.flatMap((candidate) => {
    const measured = measuredOf(candidate, asked.name);
    const beyond = excessOver(promise, measuredOf(dense, asked.name), measured);
    const needed = asked.limit + (beyond + (candidate.standard_error ?? 0)) / unit;
    return Number.isFinite(needed) ? [{ candidate, name: asked.name, measured, needed }] : [];
  });
  return misses.toSorted((a, b) => a.needed - b.needed)[0] ?? null;
}

/** Its recipe, what is left of the model, and what that cost. */
export function missWords({ candidate, measured }: Miss, { dense }: SearchView): string {
  const { recipe, sparsity, compressed_bytes } = candidate;
  const amount = typeof recipe.beta === 'number' ? ` at beta ${number(recipe.beta)}` : '';
  const smaller = dense
    ? `, ${times(dense.compressed_bytes, compressed_bytes)} times compressed (${bytes(compressed_bytes)})`
    : '';
  const costs = dense ? costsOf({ dense, pruned: measured }).join(', ') : '';
  return `${recipeWords(recipe)}${amount}: ${percent(sparsity)} gone${smaller}; ${costs}`;
}

/** The flag that would let it pass, on the samples that it was measured on. */
export function enoughFor({ name, needed }: Miss, { confidence }: Target): string {
  const step = 10 ** (Math.floor(Math.log10(needed)) - DIGITS + 1);
  const limit = Number((Math.ceil(needed / step) * step).toPrecision(DIGITS));
  return `${flagOfField(`/${name}`)} ${limit}${confidence === undefined ? '' : ' or more'}`;
}

/** The figures that a candidate has, under the names of a report. */
function measuredOf(
  figures: Partial<Measured> & Pick<CandidateView, 'loss' | 'accuracy'> & Partial<CandidateView>,
  name: TargetName,
): Measured {
  const { top1_agreement = null, kl = null, relative_l2 = null, cosine_distance = null } = figures;
  return {
    ...NOTHING,
    ...{ loss: figures.loss, accuracy: figures.accuracy, top1_agreement, kl, relative_l2, cosine_distance },
    [STANDARD_ERRORS[name]]: figures.standard_error ?? null,
  };
}

const NOTHING: Measured = {
  ...{ loss: null, accuracy: null, perplexity: null },
  ...{ relative_l2: null, cosine: null, top1_agreement: null, kl: null, cosine_distance: null },
  ...{ loss_increase_standard_error: null, accuracy_drop_standard_error: null },
  ...{ disagreement_standard_error: null, relative_l2_standard_error: null },
  ...{ kl_standard_error: null, cosine_distance_standard_error: null },
};
