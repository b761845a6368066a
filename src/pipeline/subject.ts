import type { ModelInventory } from '../formats/model.ts';
import type { Report } from '../report/report.ts';
import type { VerdictFacts } from '../report/verdict-facts.ts';
import type { CountRule } from './passes/count-rule.ts';
import type { Recipe } from './recipe.ts';

/** A model that was pruned. */
export interface PrunedModel {
  readonly inventory: ModelInventory;
  /** Of every weight that was pruned, the dense layer's output units that are left; null where all are. */
  readonly keptUnits: ReadonlyMap<string, readonly number[] | null>;
  /** Share of what was scored that is gone. */
  readonly sparsity: number;
}

/** What a report says of scores, decision and pruned model. */
export interface ReportContent
  extends Pick<Report, 'total' | 'tensors' | 'scores' | 'structures' | 'loss_bound'>,
    Pick<VerdictFacts, 'groups' | 'zeroRows' | 'raised' | 'pooled'> {}

/** The job's own pruned model. */
export interface PrunedForGood extends PrunedModel {
  /** Once repairs are done with the model's files. */
  content(): Promise<ReportContent>;
}

/** What is pruned of a model, its weights or its structures: scored, and ready to be decided on any number of times. */
export interface Subject extends AsyncDisposable {
  /** The fixed budget of each group that leaves about `sparsity` in all where it is spread by scope `layer`, counts being what they can be. */
  budgetFor(sparsity: number): number;
  /** What `rule` would keep in every group of `scope`, the same text for the same choice; null where to say so takes as long as to prune. */
  choice(rule: CountRule, scope: Recipe['scope']): string | null;
  /** Decides by `rule` in every group of `scope`, and writes the pruned model to `directory`. */
  prune(rule: CountRule, scope: Recipe['scope'], directory: string): Promise<PrunedModel>;
  /** Decides by `rule` in every group of the recipe's scope, and writes keep masks and, unless it is a dry run, the pruned model to the job's folder. */
  pruneForGood(rule: CountRule): Promise<PrunedForGood>;
}
