import { flipsTest, type RiskTest, riskOf, riskPValue, samplesNeeded } from '../core/risk-test.ts';
import { sumOf } from '../core/statistics.ts';
import type { Target } from '../recipe/target.ts';
import { targetOf } from '../recipe/target.ts';
import { TARGETS, type TargetName } from '../recipe/terms.ts';
import type { Evaluation } from '../report/report.ts';
import type { Comparison, Evaluator } from '../runtime/evaluation.ts';
import type { OutputRisk } from '../runtime/farthest-outputs.ts';
import { tooFewToPromise, tooFewToSplit } from './data-errors.ts';

export type Promised = NonNullable<NonNullable<Evaluation['search']>['promise']>;

/** Of the evaluation samples, where a target is searched on the others. */
export const REPORTED_SHARE = 1 / 2;
/** The error that is spoken of where a target has no confidence. */
const USUAL_ALPHA = 0.05;
/** Accuracies are quotients: a drop of exactly the limit is within it. */
const ROUNDING = 1e-9;
/** What a sample's loss may rise by before it counts no more, in nats. */
const LOSS_CEILING = 1;
/** The same of a squared distance or a divergence, in limits. */
const DRIFT_CEILING = 10;

/** The cosine distance of opposite directions, which is the largest. */
const OPPOSITE = 2;

/** What a test is chosen by: of the samples that choices are made on, none of those that are tested. */
interface ChoosingFacts {
  readonly lossKind: Evaluator['lossKind'];
  readonly positionsPerSample: number;
  /** Of the risk, a sample. */
  readonly meanWeight: number;
}

/**
 * Refuses a target that evaluation data are too few for, as far as their number tells: no model could pass on them, or on half of them.
 * @param atATime samples that stay together
 * @param isHalved whether there are no others to search on
 * @throws EmpError `invalid_request`
 */
export function refuseTooFew(target: Target, nSamples: number, atATime: number, isHalved: boolean): void {
  const units = nSamples / atATime;
  if (isHalved && units < 2) throw tooFewToSplit(nSamples, atATime);
  const asked = targetOf({ target });
  const { confidence } = target;
  if (asked === null || confidence === undefined) return;
  if (asked.name !== 'max_accuracy_drop' && asked.name !== 'max_disagreement') return;
  const nReported = isHalved ? Math.ceil(units * REPORTED_SHARE) * atATime : nSamples;
  const nNeeded = samplesNeeded({ name: 'binomial' }, asked.limit, 1 - confidence, 1);
  if (nReported < nNeeded) throw tooFewToPromise(asked.name, confidence, nReported, nNeeded, isHalved);
}

/** What figures say of a target, by the output that says least for it. */
interface Judgement {
  /** At most how often figures as good come of a model that just misses the target. */
  readonly p_value: number;
  /** Whether they show that it is kept and are within it themselves, where a bound hides nothing. */
  readonly isShown: boolean;
  readonly test: RiskTest;
}

/**
 * A target as it is tested on the samples that no choice saw (`docs/promise.md`). It is kept where each output keeps it: each has a test, and the largest p-value
 * is that of all (an intersection-union test; R. L. Berger, 1982).
 */
export class PromiseTest {
  readonly target: Target;
  readonly alpha: number;
  /** One for each output. */
  readonly tests: readonly RiskTest[];
  /** The fewest samples that could show it; infinite for a limit that no number of them can. */
  readonly nNeeded: number;
  readonly #name: TargetName;
  readonly #limit: number;

  /**
   * @param seen measured on the choosing samples
   * @param nSamples that will be tested on
   */
  constructor(target: Target, choosing: Evaluator, seen: Comparison, nSamples: number) {
    const asked = targetOf({ target });
    if (asked === null) throw new TypeError('a promise without a limit');
    const { lossKind } = choosing;
    const facts = risksIn(seen, asked.name).map(({ weight, positionsPerSample }) => ({
      lossKind,
      positionsPerSample,
      meanWeight: sumOf(weight) / weight.length,
    }));
    this.target = target;
    this.alpha = 1 - (target.confidence ?? 1 - USUAL_ALPHA);
    this.#name = asked.name;
    this.#limit = limitOfRisk(asked.name, asked.limit);
    this.tests = facts.map((of) => TESTS[asked.name](of, this.#limit, nSamples));
    const needed = facts.map(({ meanWeight }, place) =>
      samplesNeeded(this.tests[place], this.#limit, this.alpha, meanWeight),
    );
    this.nNeeded = Math.max(...needed);
  }

  /** Refuses a promise that these samples cannot show, whatever the model. Throws `invalid_request`. */
  refuseTooFew(nSamples: number, isHalved: boolean): void {
    if (this.target.confidence === undefined || nSamples >= this.nNeeded) return;
    throw tooFewToPromise(this.#name, this.target.confidence, nSamples, this.nNeeded, isHalved);
  }

  judge(seen: Comparison): Judgement {
    const risks = risksIn(seen, this.#name);
    const judged = risks.map((risk, place) => {
      const test = this.tests[place];
      const p_value = riskPValue(risk, this.#limit, test, this.alpha);
      return { p_value, test, isWithin: riskOf(risk) <= this.#limit + ROUNDING };
    });
    const { p_value, test } = judged.reduce((worst, each) => (each.p_value > worst.p_value ? each : worst));
    return { p_value, test, isShown: p_value <= this.alpha && judged.every(({ isWithin }) => isWithin) };
  }
}

type ChooseTest = (facts: ChoosingFacts, limit: number, nSamples: number) => RiskTest;

const TESTS: Readonly<Record<TargetName, ChooseTest>> = {
  max_loss_increase: ({ lossKind, positionsPerSample, meanWeight }) => ({
    name: 'mixture_of_bets',
    ceiling: lossKind === 'mean_squared_error' ? meanWeight : LOSS_CEILING * positionsPerSample,
    isTwoSided: true,
  }),
  max_accuracy_drop: ({ positionsPerSample }, limit, nSamples) =>
    positionsPerSample === 1 ? flipsTest(nSamples, limit) : betsOnPositions(positionsPerSample),
  max_disagreement: ({ positionsPerSample }) =>
    positionsPerSample === 1 ? { name: 'binomial' } : betsOnPositions(positionsPerSample),
  max_kl: upToLimits,
  max_relative_l2: upToLimits,
  max_cosine_distance: () => ({ name: 'mixture_of_bets', ceiling: OPPOSITE, isTwoSided: false }),
};

/** Drift has no bound of its own, and is never below 0. */
function upToLimits({ meanWeight }: ChoosingFacts, limit: number): RiskTest {
  const ceiling = DRIFT_CEILING * Math.max(limit, Number.MIN_VALUE) * meanWeight;
  return { name: 'mixture_of_bets', ceiling, isTwoSided: false };
}

/** No sample can change at more positions than it has. */
function betsOnPositions(ceiling: number): RiskTest {
  return { name: 'mixture_of_bets', ceiling, isTwoSided: false };
}

function risksIn({ risks }: Comparison, name: TargetName): readonly OutputRisk[] {
  const found = risks[TARGETS[name].metric] ?? [];
  if (found.length === 0) throw new TypeError(`${name} is not measured`);
  return found;
}

/** The risk of a relative L2 drift is its square. */
function limitOfRisk(name: TargetName, limit: number): number {
  return name === 'max_relative_l2' ? limit ** 2 : limit;
}
