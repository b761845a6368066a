import type { Recipe } from '../recipe/recipe.ts';
import type { Comparison, Measurement } from '../runtime/evaluation.ts';
import { type BetaPoint, Candidates } from './candidates.ts';
import { oneAnswer } from './data-errors.ts';
import type { Judges } from './judges.ts';
import { PromiseTest } from './promise-test.ts';
import { type Climb, climb } from './promised-beta.ts';
import type { PruneJob } from './prune-job.ts';
import type { Repairs } from './repairs.ts';
import type { Scored } from './scored.ts';
import { excessWithMargin, type Found, searchBeta } from './search.ts';

/** How the beta of a target was chosen. */
export interface Chosen {
  readonly found: Found;
  readonly test: PromiseTest;
  /** Null without a confidence. */
  readonly climbed: Climb | null;
}

interface ChooseInput {
  readonly job: PruneJob;
  readonly scored: Scored;
  readonly repairs: Repairs;
  readonly judges: Judges;
  /** Measured on the samples that the report is of. */
  readonly reported: Candidates;
}

/**
 * The smallest beta of which a candidate, pruned, repaired and measured, stays within the target by one standard error; of a promise the smallest that is shown to keep it. A beta
 * that the recipe gives is taken as found.
 * @throws EmpError `invalid_request` for a promise that so few samples cannot show
 */
export async function chooseBeta(
  target: NonNullable<Recipe['target']>,
  { job, scored, repairs, judges, reported }: ChooseInput,
): Promise<Chosen> {
  const { choosing } = judges;
  const candidates = new Candidates({ job, scored, evaluator: choosing, choosing, repairs });
  const { beta: given, min_density } = job.input.recipe;
  const own = await candidates.comparedAt(given ?? 1);
  const test = openTest(target, judges, own);
  // A model that gives the same whatever comes in is within no limit.
  const excessOf = (beta: number, measured: Measurement) =>
    candidates.known(beta)?.isConstant
      ? Number.POSITIVE_INFINITY
      : excessWithMargin(target, choosing.dense, measured);
  const found =
    given === undefined
      ? await searchBeta<BetaPoint>({
          excessOf: (point) => excessOf(point.beta, point),
          measure: (beta) => candidates.at(beta),
          isSmaller: (beta) => candidates.isSmaller(beta),
          minDensity: min_density,
        })
      : {
          beta: given,
          evaluations: [await candidates.at(given)],
          isWithin: excessOf(given, own.measurement) <= 0,
        };
  return {
    found,
    test,
    climbed: target.confidence === undefined ? null : await climb(found, reported, test),
  };
}

/**
 * The test of a target, chosen by what was measured on the samples that choices are made on.
 * @throws EmpError `invalid_request` where the other samples can show nothing
 */
export function openTest(
  target: NonNullable<Recipe['target']>,
  { choosing, reporting, isHalved }: Judges,
  own: Comparison,
): PromiseTest {
  if (target.max_disagreement !== undefined && own.isOneAnswer)
    throw oneAnswer(isHalved ? 'evaluation' : 'selection');
  const test = new PromiseTest(target, choosing, own, reporting.nCounted);
  test.refuseTooFew(reporting.nCounted, isHalved);
  return test;
}
