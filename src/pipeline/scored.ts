import type { ByteRange } from '../formats/model.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import type { Recipe } from '../recipe/recipe.ts';
import type { Report } from '../report/report.ts';
import type { VerdictFacts } from '../report/verdict-facts.ts';
import type { Amount } from './amount.ts';

/** What is kept or removed of a model, its weights or its structures: scored, and ready to be decided on any number of times. */
export interface Scored extends AsyncDisposable {
  /** What to keep by `amount` in every group of the recipe's scope. */
  decide(amount: Amount): Promise<Decided>;
  /** What to keep by the fixed budget of each group of `scope` that leaves about `sparsity` in all, counts being what they can be. */
  decideEvenly(sparsity: number, minDensity: number, scope: Recipe['scope']): Promise<Decided>;
}

/** What is to be kept. */
export interface Decided {
  /** The same text for the same choice; null where to tell takes as long as to prune. */
  readonly choice: string | null;
  /** How many of the weights that were scored are kept; writes keep masks alone, to `directory`. Null of structures, whose number does not tell what goes with them. */
  readonly count: ((directory: string) => Promise<{ readonly n: number; readonly nKeep: number }>) | null;
  /** Writes the pruned model to `directory`, as a candidate that is measured. */
  write(directory: string): Promise<PrunedModel>;
  /** Writes keep masks and, unless it is a dry run, the pruned model to the job's folder. */
  writeForGood(): Promise<PrunedForGood>;
}

/** A model that was pruned; of a dry run, the dense one. */
export interface PrunedModel {
  readonly model: StoredModel;
  /** Of every weight that was pruned, the dense layer's output units that are left; null where all are. */
  readonly keptUnits: ReadonlyMap<string, readonly number[] | null>;
  /** Where the packed keep mask of every weight is, in a file of the model's folder; structures have none. */
  readonly masks?: ReadonlyMap<string, ByteRange>;
  /** Share of what was scored that is gone. */
  readonly sparsity: number;
}

/** The job's own pruned model. */
export interface PrunedForGood extends PrunedModel {
  /** Once repairs are done with the model's files, and its masks. */
  content(repair: Report['repair']): Promise<ReportContent>;
}

/** What a report says of scores, decision and pruned model. */
export interface ReportContent
  extends Pick<
      Report,
      'total' | 'untouched' | 'tensors' | 'scores' | 'structures' | 'loss_bound' | 'allocation'
    >,
    Pick<VerdictFacts, 'groups' | 'zeroRows' | 'raised' | 'pooled' | 'uneven'> {}
