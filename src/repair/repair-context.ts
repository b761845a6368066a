import type { SampleSet } from '../formats/sample-set.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import type { ModelRun } from '../runtime/model-run.ts';

/** What repairs a pruned model, by comparison with the dense one. Weights and layers go by the same names in both; the pruned model's may be smaller. */
export interface RepairContext extends Omit<ModelRun, 'model'> {
  readonly dense: StoredModel;
  /** Its files are changed. */
  readonly pruned: StoredModel;
  /**
   * The weights that were pruned: no layer of another weight is touched. Of each the dense layer's output units that are left, in the pruned layer's
   * order; null where all are.
   */
  readonly keptUnits: ReadonlyMap<string, readonly number[] | null>;
  /** How many rows `least_squares` and `swaps` look at for each feature of a layer's inputs, at least; 4 unless given. */
  readonly rowsPerFeature?: number;
  /** What both models are run on. Labels are not looked at. */
  readonly samples: SampleSet;
}

/** A layer that a repair cannot put right. */
export interface LeftOut {
  /** A weight, a bias or a node. */
  readonly name: string;
  /** With the name as subject. */
  readonly reason: string;
}

/** What is to be repaired, and what cannot be. */
export interface Findings<T> {
  readonly found: readonly T[];
  readonly leftOut: readonly LeftOut[];
}

/** What a repair has done, or would do: to how many layers, or nodes, and to which not. */
export interface RepairWork {
  readonly nRepaired: number;
  readonly leftOut: readonly LeftOut[];
  /** Of one that chooses keep masks: how many weights of each tensor it keeps that scores did not. */
  readonly moved?: readonly MovedWeights[];
}

export interface MovedWeights {
  readonly name: string;
  readonly nMoved: number;
}

export interface RepairPlan extends RepairWork {
  /** Over the samples. */
  readonly nPasses: number;
}
