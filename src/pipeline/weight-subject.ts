import { weightScorer } from '../criteria/registry.ts';
import type { ModelTensor } from '../formats/model.ts';
import type { WeightCriterion } from '../recipe/criteria.ts';
import type { Recipe } from '../recipe/recipe.ts';
import { type AppliedTensor, apply } from './apply.ts';
import { namingData } from './data-errors.ts';
import { decide, type ScoredModel } from './decide.ts';
import { type HessianTrace, hessianTrace } from './loss-bound.ts';
import type { CountRule } from './passes/count-rule.ts';
import { type NamedScores, PassRunner } from './passes/runner.ts';
import { PassThreads } from './passes/threads.ts';
import { criterionContext, type PruneJob } from './prune-job.ts';
import { selectTensors } from './select-tensors.ts';
import type { PrunedForGood, PrunedModel, Subject } from './subject.ts';
import { weightContent } from './weight-content.ts';

/** Below this many weights starting threads costs more than they bring. */
const THREADS_FROM = 1_000_000;
/** A megabyte of float32: what a kernel takes at a time. */
const CHUNK_ELEMENTS = 2 ** 18;

/** The selected weights of a model, each with a score. */
export class WeightSubject implements Subject {
  readonly #job: PruneJob;
  readonly #scored: ScoredModel;
  readonly #threads: PassThreads;
  readonly #hessian: HessianTrace | null;

  private constructor(
    job: PruneJob,
    scored: ScoredModel,
    threads: PassThreads,
    hessian: HessianTrace | null,
  ) {
    this.#job = job;
    this.#scored = scored;
    this.#threads = threads;
    this.#hessian = hessian;
  }

  /** Scores the weights that the recipe selects. */
  static async score(job: PruneJob): Promise<WeightSubject> {
    const { input, progress, clock, signal } = job;
    const { model, recipe, runtime } = input;
    const tensors = selectTensors(model.inventory, recipe);
    clock.enter('score');
    const context = criterionContext(job);
    const score = await weightScorer(recipe.criterion as WeightCriterion);
    const ranges = await namingData('calibration', () => score(tensors, context));
    const scores: NamedScores[] = ranges.map((range, i) => ({ name: tensors[i].name, ...range }));

    if (recipe.hessian_probes > 0) clock.enter('curvature');
    const hessian = await hessianTrace(input, tensors, context);

    clock.enter('decide');
    await using opened = new AsyncDisposableStack();
    const n = scores.reduce((sum, range) => sum + range.n, 0);
    const threads = opened.use(new PassThreads(n < THREADS_FROM ? 0 : runtime.threads));
    const chunkElements = input.chunkElements ?? CHUNK_ELEMENTS;
    const runner = new PassRunner({ threads, signal, progress, chunkElements });
    const summary = await runner.summarize(scores);
    opened.move(); // the subject keeps the threads
    return new WeightSubject(job, { runner, tensors, scores, summary }, threads, hessian);
  }

  budgetFor(sparsity: number): number {
    return sparsity;
  }

  choice(): null {
    return null;
  }

  async prune(rule: CountRule, scope: Recipe['scope'], directory: string): Promise<PrunedModel> {
    const { model } = this.#job.input;
    const scored = this.#scored;
    const decision = await decide(scored, rule, scope);
    const applied = await apply({ model, scored, decision, dryRun: false, outputDirectory: directory });
    return this.#pruned(applied);
  }

  async pruneForGood(rule: CountRule): Promise<PrunedForGood> {
    const { input, clock, signal } = this.#job;
    const { model, recipe, outputDirectory } = input;
    const scored = this.#scored;
    clock.enter('decide');
    const decision = await decide(scored, rule, recipe.scope);
    clock.enter('apply');
    const squares = recipe.criterion === 'magnitude';
    const applied = await apply({
      model,
      scored,
      decision,
      dryRun: recipe.dry_run,
      outputDirectory,
      squares,
    });
    const hessian = this.#hessian;
    return {
      ...this.#pruned(applied),
      content: () => weightContent({ recipe, scored, decision, applied, hessian, outputDirectory, signal }),
    };
  }

  /** Zeros in place leave every unit where it is. */
  #pruned(applied: readonly AppliedTensor[]): PrunedModel {
    const { tensors, scores } = this.#scored;
    const n = scores.reduce((sum, tensor) => sum + tensor.n, 0);
    return {
      inventory: this.#job.input.model.inventory,
      keptUnits: new Map(tensors.map(({ name }: ModelTensor) => [name, null])),
      sparsity: 1 - applied.reduce((sum, { nKeep }) => sum + nKeep, 0) / n,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#threads[Symbol.asyncDispose]();
  }
}
