import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Recipe } from '../recipe/recipe.ts';
import type { Evaluation } from '../report/report.ts';
import type { Evaluator, Measurement } from '../runtime/evaluation.ts';
import { type CountRule, countRule } from './passes/count-rule.ts';
import type { Repairs } from './repairs.ts';
import type { Subject } from './subject.ts';

export type Point = NonNullable<Evaluation['uniform']>;
export type BetaPoint = Evaluation['sweep'][number];
export type Measured = Measurement & { readonly sparsity: number };

interface CandidateOptions {
  readonly subject: Subject;
  readonly recipe: Recipe;
  readonly evaluator: Evaluator;
  readonly repairs: Repairs;
  /** Holds one candidate at a time. */
  readonly directory: string;
}

/** The model pruned by other amounts than the job's: decided on the same scores, written to a scratch folder, repaired as the job's model is, measured, removed. */
export class Candidates {
  readonly #options: CandidateOptions;
  readonly #byBeta = new Map<number, BetaPoint>();
  readonly #byChoice = new Map<string, Measured>();

  constructor(options: CandidateOptions) {
    this.#options = options;
  }

  /** EMP at `beta`, measured once. */
  async at(beta: number): Promise<BetaPoint> {
    const known = this.#byBeta.get(beta);
    if (known) return known;
    const { recipe } = this.#options;
    const rule = { ...countRule(recipe, beta), beta, sparsity: null };
    return this.remember(beta, await this.measure(rule, recipe.scope));
  }

  /** Takes what was measured of the job's own model for all that keep the same. */
  rememberChoice(rule: CountRule, measured: Measured): void {
    const { subject, recipe } = this.#options;
    const choice = subject.choice(rule, recipe.scope);
    if (choice !== null) this.#byChoice.set(choice, measured);
  }

  /** Takes what was measured of the job's own model for the point at its beta. */
  remember(beta: number, measured: Measured): BetaPoint {
    const point = { beta, ...createPoint(measured) };
    this.#byBeta.set(beta, point);
    return point;
  }

  /** What was measured at `beta`, without it; null where nothing was. */
  known(beta: number): Point | null {
    const point = this.#byBeta.get(beta);
    if (!point) return null;
    const { beta: _, ...known } = point;
    return known;
  }

  /** See `Subject`. */
  budgetFor(sparsity: number): number {
    return this.#options.subject.budgetFor(sparsity);
  }

  /** Rounded counts of structures are often the same ones: what is kept is measured once. */
  async measure(rule: CountRule, scope: Recipe['scope']): Promise<Measured> {
    const { subject, evaluator, repairs, directory } = this.#options;
    const choice = subject.choice(rule, scope);
    const known = choice === null ? undefined : this.#byChoice.get(choice);
    if (known) return known;
    try {
      const { inventory, keptUnits, sparsity } = await subject.prune(rule, scope, directory);
      const path = join(directory, inventory.files[0]);
      const { measured } = await repairs.apply({ directory, inventory }, keptUnits, () =>
        evaluator.measure(path),
      );
      const found = { ...measured, sparsity };
      if (choice !== null) this.#byChoice.set(choice, found);
      return found;
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
}

/** What the report shows of a model that is not the job's own. */
export function createPoint({
  sparsity,
  loss,
  accuracy,
  perplexity,
  relative_l2,
  cosine,
  top1_agreement,
}: Measured): Point {
  return { sparsity, loss, accuracy, perplexity, relative_l2, cosine, top1_agreement };
}
