import type { ScoreRange } from '../../criteria/context.ts';
import { weightScorer } from '../../criteria/registry.ts';
import { makeScratchFolder } from '../../formats/scratch-folder.ts';
import { SHARING_RULE_NAMES, type SharingRule } from '../../recipe/allocations.ts';
import type { WeightCriterion } from '../../recipe/criteria.ts';
import type { Recipe } from '../../recipe/recipe.ts';
import type { Amount } from '../amount.ts';
import { MASKS_FILE } from '../artifact-names.ts';
import { namingData } from '../data-errors.ts';
import { criterionContext, type PruneJob } from '../prune-job.ts';
import type { Decided, PrunedForGood, PrunedModel, Scored } from '../scored.ts';
import { untouchedOf } from '../untouched.ts';
import { weightContent } from './content.ts';
import { type Decision, decideWeights, type TensorScores } from './decide.ts';
import { writeLampScores } from './lamp-scores.ts';
import { type HessianTrace, hessianTrace } from './loss-change.ts';
import { openRunner } from './passes/open-runner.ts';
import { isReached, selectTensors } from './select.ts';
import { decideCounts, type Limits, limitsOf, type OwnCounts, shareTotal } from './share-total.ts';
import { type WrittenTensor, writeWeights } from './write.ts';

/** Weights of which each tensor keeps as many as it is told. */
interface CountedWeights {
  /** Of each tensor. */
  readonly limits: readonly Limits[];
  /** Each tensor keeps so many. */
  decide(counts: readonly number[]): Promise<Decided>;
}

/** A total to be shared among the tensors. */
export interface SharedTotal extends CountedWeights {
  /** What each tensor keeps by each rule. */
  readonly shares: readonly { readonly rule: SharingRule; readonly counts: readonly number[] }[];
}

/** The selected weights of a model, each with a score. */
export class ScoredWeights implements Scored {
  readonly #job: PruneJob;
  readonly #scores: TensorScores;
  readonly #threads: AsyncDisposable;
  readonly #hessian: HessianTrace | null;
  /** LAMP scores; null until they are asked for. */
  #lamp: readonly ScoreRange[] | null = null;

  private constructor(
    job: PruneJob,
    scores: TensorScores,
    threads: AsyncDisposable,
    hessian: HessianTrace | null,
  ) {
    this.#job = job;
    this.#scores = scores;
    this.#threads = threads;
    this.#hessian = hessian;
  }

  /** Scores the weights that the recipe selects. */
  static async score(job: PruneJob): Promise<ScoredWeights> {
    const { input, progress, clock, signal } = job;
    const { model, recipe, runtime } = input;
    const tensors = selectTensors(model.inventory, recipe);
    clock.enter('score');
    const context = criterionContext(job);
    const score = await weightScorer(recipe.criterion as WeightCriterion);
    const ranges = await namingData('calibration', () => score(tensors, context));

    if (recipe.hessian_probes > 0) clock.enter('curvature');
    const hessian = await hessianTrace(input, tensors, context);

    clock.enter('decide');
    await using opened = new AsyncDisposableStack();
    const n = ranges.reduce((sum, range) => sum + range.n, 0);
    const { threads } = runtime;
    const running = opened.use(
      openRunner({ n, threads, signal, progress, chunkElements: input.chunkElements }),
    );
    const { runner } = running;
    const summary = await runner.summarize(ranges);
    opened.move(); // what is scored keeps the threads
    return new ScoredWeights(job, { runner, tensors, ranges, summary }, running, hessian);
  }

  async decide(amount: Amount): Promise<Decided> {
    return this.#decidedAs(await decideWeights(this.#scores, amount, this.#job.input.recipe.scope));
  }

  async decideEvenly(sparsity: number, minDensity: number, scope: Recipe['scope']): Promise<Decided> {
    return this.#decidedAs(await decideWeights(this.#scores, { beta: null, sparsity, minDensity }, scope));
  }

  get names(): readonly string[] {
    return this.#scores.tensors.map(({ name }) => name);
  }

  /** For decisions by counts alone. */
  async counted(): Promise<CountedWeights> {
    return await this.#countedBeside({ beta: 1, sparsity: null, minDensity: 0 }, 'layer');
  }

  /** As many in all as `decide` keeps, shared among the tensors by each rule. */
  async share(amount: Amount): Promise<SharedTotal> {
    const { own, limits, decide } = await this.#countedBeside(amount, this.#job.input.recipe.scope);
    this.#lamp ??= await writeLampScores(this.#scores.ranges, this.#job);
    const shares: SharedTotal['shares'][number][] = [];
    for (const rule of SHARING_RULE_NAMES)
      shares.push({ rule, counts: await shareTotal(rule, own, this.#scores, this.#lamp, limits) });
    return { shares, limits, decide };
  }

  /** Beside what an amount and a scope keep, which tensors of zeros keep always. */
  async #countedBeside(amount: Amount, scope: Recipe['scope']): Promise<CountedWeights & { own: OwnCounts }> {
    const decision = await decideWeights(this.#scores, amount, scope);
    await using folder = await makeScratchFolder(this.#job.scratchDirectory, 'own-');
    const written = await this.#write(decision, folder.path, true);
    const own = { decision, counts: written.map(({ nKeep }) => nKeep) };
    const decide = async (counts: readonly number[]) =>
      this.#decidedAs(await decideCounts(counts, own, this.#scores));
    return { own, limits: limitsOf(own, this.#scores, amount), decide };
  }

  #decidedAs(decision: Decision): Decided {
    return {
      choice: null,
      count: async (directory) => this.#countOf(await this.#write(decision, directory, true)),
      write: async (directory) => this.#pruned(directory, await this.#write(decision, directory, false)),
      writeForGood: () => this.#writeForGood(decision),
    };
  }

  async #write(
    decision: Decision,
    directory: string,
    dryRun: boolean,
    squares = false,
  ): Promise<WrittenTensor[]> {
    const { model } = this.#job.input;
    return await writeWeights({
      model,
      scores: this.#scores,
      decision,
      dryRun,
      directory,
      squares,
    });
  }

  async #writeForGood(decision: Decision): Promise<PrunedForGood> {
    const { input, signal } = this.#job;
    const { recipe, outputDirectory: directory } = input;
    const [scores, hessian] = [this.#scores, this.#hessian];
    const squares = recipe.criterion === 'magnitude';
    const written = await this.#write(decision, directory, recipe.dry_run, squares);
    const { inventory } = input.model;
    const untouched = untouchedOf(inventory.tensors, isReached(scores.tensors, inventory, recipe));
    return {
      ...this.#pruned(directory, written),
      content: (repair) =>
        weightContent({ recipe, untouched, scores, decision, written, hessian, directory, signal, repair }),
    };
  }

  /** Zeros in place leave every unit where it is. */
  #pruned(directory: string, written: readonly WrittenTensor[]): PrunedModel {
    const { tensors } = this.#scores;
    const { n, nKeep } = this.#countOf(written);
    return {
      model: { directory, inventory: this.#job.input.model.inventory },
      keptUnits: new Map(tensors.map(({ name }) => [name, null])),
      masks: new Map(tensors.map(({ name }, i) => [name, { ...written[i].mask, file: MASKS_FILE }])),
      sparsity: 1 - nKeep / n,
    };
  }

  #countOf(written: readonly WrittenTensor[]) {
    return {
      n: this.#scores.ranges.reduce((sum, range) => sum + range.n, 0),
      nKeep: written.reduce((sum, { nKeep }) => sum + nKeep, 0),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#threads[Symbol.asyncDispose]();
  }
}
