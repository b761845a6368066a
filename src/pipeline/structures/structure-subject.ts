import { structureScorer } from '../../criteria/registry.ts';
import type { StructureCriterion } from '../../recipe/criteria.ts';
import type { Recipe } from '../../recipe/recipe.ts';
import { type Family, producersOf } from '../../structure/families.ts';
import { KanCheckpoint } from '../../structure/kan-checkpoint.ts';
import type { ReducibleModel } from '../../structure/reducible-model.ts';
import { StructuredModel } from '../../structure/structured-model.ts';
import { namingData } from '../data-errors.ts';
import type { CountRule } from '../passes/count-rule.ts';
import { criterionContext, type PruneJob } from '../prune-job.ts';
import type { PrunedForGood, PrunedModel, Subject } from '../subject.ts';
import { selectFamilies } from './select-families.ts';
import { structureContent } from './structure-content.ts';
import {
  decideBy,
  packMask,
  pruneStructures,
  type ScoredStructures,
  sparsityOf,
  writeStructureMasks,
} from './structure-pruner.ts';

/** Fixed budgets that are tried for a given sparsity: rounding leaves few that differ. */
const BUDGETS = 50;

/** The selected structures of a model, each with a score. */
export class StructureSubject implements Subject {
  readonly #job: PruneJob;
  readonly #scored: ScoredStructures;

  private constructor(job: PruneJob, scored: ScoredStructures) {
    this.#job = job;
    this.#scored = scored;
  }

  /** Finds the structures of the model and scores those that the recipe selects. */
  static async score(job: PruneJob): Promise<StructureSubject> {
    const { input, clock, signal } = job;
    const { inventory } = input.model;
    const { recipe } = input;
    await using opened = new AsyncDisposableStack();
    const model = opened.use(await openModel(job));
    const families: readonly Family[] = selectFamilies(model.structures, recipe, producersOf);
    clock.enter('score');
    const context = criterionContext(job);
    const score = await structureScorer(recipe.criterion as StructureCriterion);
    const scores = await namingData('calibration', () => score(families, context));
    opened.move(); // the subject keeps the model
    return new StructureSubject(job, { model, dense: inventory, families, scores, recipe, signal });
  }

  budgetFor(sparsity: number): number {
    const { min_density: minDensity } = this.#job.input.recipe;
    const missOf = (budget: number) => {
      const rule = { beta: null, sparsity: budget, minDensity };
      return Math.abs(sparsityOf(decideBy(this.#scored, rule, 'layer')) - sparsity);
    };
    let [best, least] = [sparsity, missOf(sparsity)];
    for (let i = 0; i < BUDGETS; i++) {
      const miss = missOf(i / BUDGETS);
      if (miss < least) [best, least] = [i / BUDGETS, miss];
    }
    return best;
  }

  choice(rule: CountRule, scope: Recipe['scope']): string {
    const { families } = decideBy(this.#scored, rule, scope);
    return Buffer.concat(families.map(({ kept }) => packMask(kept))).toString('base64');
  }

  async prune(rule: CountRule, scope: Recipe['scope'], directory: string): Promise<PrunedModel> {
    return await pruneStructures(this.#scored, rule, scope, directory);
  }

  async pruneForGood(rule: CountRule): Promise<PrunedForGood> {
    const { input, clock } = this.#job;
    const { recipe, outputDirectory, model } = input;
    clock.enter('apply');
    const directory = recipe.dry_run ? null : outputDirectory;
    const pruned = await pruneStructures(this.#scored, rule, recipe.scope, directory);
    await writeStructureMasks(pruned.decision, outputDirectory);
    const { frozen } = this.#scored.model.structures;
    return {
      ...pruned,
      content: async () =>
        structureContent(pruned, { frozen, dense: model.inventory, isDryRun: recipe.dry_run }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scored.model[Symbol.asyncDispose]();
  }
}

/** The model with its structures: by its graph, or of a KAN's checkpoint by its names. */
async function openModel({ input, signal }: PruneJob): Promise<ReducibleModel> {
  const { model, recipe, runtime } = input;
  const { directory: modelDirectory, inventory } = model;
  if (inventory.format === 'onnx')
    return StructuredModel.open({ modelDirectory, inventory, runtime, signal });
  if (recipe.granularity === 'kan_node') return KanCheckpoint.open(modelDirectory, inventory);
  throw new TypeError(`a ${inventory.format} file has no ${recipe.granularity}`);
}
