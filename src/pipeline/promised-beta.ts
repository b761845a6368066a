import type { Amount } from './amount.ts';
import type { Candidates } from './candidates.ts';
import type { Promised, PromiseTest } from './promise-test.ts';
import { betaFor, type Found } from './search.ts';

type Rung = Promised['ladder'][number];

/** A fine ladder costs no confidence, only the time to measure its rungs. */
export const MAX_RUNGS = 16;

/** The last rung that passed, and all that were tested. */
export interface Climb {
  readonly beta: NonNullable<Amount['beta']>;
  readonly ladder: readonly Rung[];
}

/**
 * Fixed-sequence testing: rungs of ever larger sparsity, up to what the search has found, are tested on samples that no choice saw until the first one fails. All
 * were fixed before by other samples, so the last that passes keeps its promise with the confidence of a single test.
 * @param candidates measured on those samples
 * @returns the mildest rung where none passes
 */
export async function climb(found: Found, candidates: Candidates, test: PromiseTest): Promise<Climb> {
  const top = found.evaluations.find(({ beta }) => beta === found.beta)?.sparsity ?? 0;
  const betas = Array.from({ length: MAX_RUNGS }, (_, i) =>
    i === MAX_RUNGS - 1 ? found.beta : betaFor((top * (i + 1)) / MAX_RUNGS, found.evaluations),
  );
  const ladder: Rung[] = [];
  let last = betas[0];
  for (const beta of top > 0 ? betas : [found.beta]) {
    const point = await candidates.at(beta);
    if (point.sparsity === ladder.at(-1)?.sparsity) continue; // counts that were rounded to the same
    const { p_value, isShown } = test.judge(await candidates.comparedAt(beta));
    ladder.push({ ...point, p_value });
    if (!isShown) break;
    last = beta;
  }
  return { beta: last, ladder };
}
