import { packMask } from '../../core/keep-mask.ts';
import { structureScorer } from '../../criteria/registry.ts';
import type { StructureCriterion } from '../../recipe/criteria.ts';
import { type Recipe, roundToOf } from '../../recipe/recipe.ts';
import { type Family, placesOf, producersOf } from '../../structure/families.ts';
import { KanCheckpoint } from '../../structure/kan-checkpoint.ts';
import type { ReducibleModel } from '../../structure/reducible-model.ts';
import { StructuredModel } from '../../structure/structured-model.ts';
import type { Amount } from '../amount.ts';
import { namingData } from '../data-errors.ts';
import { criterionContext, type PruneJob } from '../prune-job.ts';
import { writtenBy } from '../repairs.ts';
import type { Decided, PrunedForGood, PrunedModel, Scored } from '../scored.ts';
import { untouchedOf } from '../untouched.ts';
import { structureContent } from './content.ts';
import { decideStructures, type StructureDecision } from './decide.ts';
import { roundingSteps } from './rounding.ts';
import { selectFamilies } from './select.ts';
import { removeStructures, writeStructureMasks } from './write.ts';

/** Fixed budgets that are tried for a given sparsity: rounding leaves few that differ. */
const BUDGETS = 50;

/** The selected structures of a model, each with a score. */
export class ScoredStructures implements Scored {
  readonly #job: PruneJob;
  readonly #model: ReducibleModel;
  readonly #families: readonly Family[];
  /** Of each family. */
  readonly #scores: readonly Float64Array[];
  /** What the kept count of each family is a multiple of. */
  readonly #steps: readonly number[];

  private constructor(
    job: PruneJob,
    model: ReducibleModel,
    families: readonly Family[],
    scores: readonly Float64Array[],
  ) {
    this.#job = job;
    this.#model = model;
    this.#families = families;
    this.#scores = scores;
    this.#steps = roundingSteps(families, roundToOf(job.input.recipe));
  }

  /** Finds the structures of the model and scores those that the recipe selects. */
  static async score(job: PruneJob): Promise<ScoredStructures> {
    const { input, clock } = job;
    const { recipe } = input;
    await using opened = new AsyncDisposableStack();
    const model = opened.use(await openModel(job));
    const families = selectFamilies(model.structures, recipe, producersOf);
    clock.enter('score');
    const context = criterionContext(job);
    const score = await structureScorer(recipe.criterion as StructureCriterion);
    const scores = await namingData('calibration', () => score(families, context));
    opened.move(); // what is scored keeps the model
    return new ScoredStructures(job, model, families, scores);
  }

  async decideEvenly(sparsity: number, minDensity: number, scope: Recipe['scope']): Promise<Decided> {
    const budget = this.#budgetFor(sparsity, minDensity);
    return this.#decidedAs(this.#decide({ beta: null, sparsity: budget, minDensity }, scope));
  }

  /** Spread by scope `layer`. */
  #budgetFor(sparsity: number, minDensity: number): number {
    const missOf = (budget: number) => {
      const amount = { beta: null, sparsity: budget, minDensity };
      return Math.abs(this.#decide(amount, 'layer').sparsity - sparsity);
    };
    let [best, least] = [sparsity, missOf(sparsity)];
    for (let i = 0; i < BUDGETS; i++) {
      const miss = missOf(i / BUDGETS);
      if (miss < least) [best, least] = [i / BUDGETS, miss];
    }
    return best;
  }

  async decide(amount: Amount): Promise<Decided> {
    return this.#decidedAs(this.#decide(amount, this.#job.input.recipe.scope));
  }

  #decidedAs(decision: StructureDecision): Decided {
    return {
      choice: Buffer.concat(decision.families.map(({ kept }) => packMask(kept))).toString('base64'),
      count: null,
      write: (directory) => this.#write(decision, directory),
      writeForGood: () => this.#writeForGood(decision),
    };
  }

  #decide(amount: Amount, scope: Recipe['scope']): StructureDecision {
    const { lasting } = this.#model.structures;
    return decideStructures({
      families: this.#families,
      scores: this.#scores,
      ...{ amount, scope, steps: this.#steps, lasting },
    });
  }

  async #write(decision: StructureDecision, directory: string): Promise<PrunedModel> {
    const { input, signal } = this.#job;
    const isEdited = writtenBy(input.recipe);
    return await removeStructures(this.#model, input.model, decision, directory, signal, isEdited);
  }

  async #writeForGood(decision: StructureDecision): Promise<PrunedForGood> {
    const { recipe, outputDirectory, model: dense } = this.#job.input;
    const pruned = recipe.dry_run
      ? { model: dense, sparsity: decision.sparsity, keptUnits: new Map() }
      : await this.#write(decision, outputDirectory);
    await writeStructureMasks(decision, outputDirectory);
    const { families, frozen } = this.#model.structures;
    const { granularity } = recipe;
    // Those that the recipe leaves out are reached too.
    const own = families.filter(({ kind }) => kind === granularity);
    const reached = new Set(placesOf(own, ({ sites }) => sites).map(({ tensor }) => tensor));
    const untouched = untouchedOf(dense.inventory.tensors, ({ name }) => reached.has(name));
    const parameters = {
      dense: dense.inventory.nParameters,
      pruned: recipe.dry_run ? null : pruned.model.inventory.nParameters,
    };
    return { ...pruned, content: async () => structureContent(decision, frozen, untouched, parameters) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#model[Symbol.asyncDispose]();
  }
}

/** The model with its structures: by its graph, or of a KAN's checkpoint by its names. */
async function openModel({ input, signal }: PruneJob): Promise<ReducibleModel> {
  const { model, recipe, runtime } = input;
  const { format } = model.inventory;
  if (format === 'onnx') return StructuredModel.open({ model, runtime, signal });
  if (recipe.granularity === 'kan_node') return KanCheckpoint.open(model);
  throw new TypeError(`a ${format} file has no ${recipe.granularity}`);
}
