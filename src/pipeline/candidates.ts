import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Evaluation } from '../report/report.ts';
import type { Evaluator, Measurement } from '../runtime/evaluation.ts';
import { type AppliedTensor, apply } from './apply.ts';
import { decide, type ScoredModel } from './decide.ts';
import type { DenseModel } from './dense-model.ts';
import { type CountRule, countRule } from './passes/count-rule.ts';
import type { Recipe } from './recipe.ts';

export type Point = NonNullable<Evaluation['uniform']>;
export type BetaPoint = Evaluation['sweep'][number];
export type Measured = Measurement & { readonly sparsity: number };

interface CandidateOptions {
  readonly model: DenseModel;
  readonly scored: ScoredModel;
  readonly recipe: Recipe;
  readonly evaluator: Evaluator;
  /** Holds one candidate at a time. */
  readonly directory: string;
}

/** The model pruned by other amounts than the job's: decided on the same scores, written to a scratch folder, measured, removed. */
export class Candidates {
  readonly #options: CandidateOptions;
  readonly #byBeta = new Map<number, BetaPoint>();

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

  async measure(rule: CountRule, scope: Recipe['scope']): Promise<Measured> {
    const { model, scored, evaluator, directory } = this.#options;
    const decision = await decide(scored, rule, scope);
    try {
      const applied = await apply({ model, scored, decision, dryRun: false, outputDirectory: directory });
      const measurement = await evaluator.measure(join(directory, model.inventory.files[0]));
      return { ...measurement, sparsity: sparsityOf(scored, applied) };
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

export function sparsityOf({ scores }: ScoredModel, applied: readonly AppliedTensor[]): number {
  const n = scores.reduce((sum, tensor) => sum + tensor.n, 0);
  return 1 - applied.reduce((sum, { nKeep }) => sum + nKeep, 0) / n;
}
