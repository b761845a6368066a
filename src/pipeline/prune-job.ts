import type { CriterionContext } from '../criteria/context.ts';
import type { GivenSamples, SampleSet } from '../formats/sample-set.ts';
import { type ScoreArray, scoresByName } from '../formats/score-file.ts';
import type { StoredModel } from '../formats/stored-model.ts';
import type { UnusedInput } from '../recipe/needs.ts';
import type { Recipe } from '../recipe/recipe.ts';
import type { Origin } from '../report/origin.ts';
import type { RuntimeSettings } from '../runtime/session.ts';
import type { Progress, StageClock } from './progress.ts';

export interface PruneInput {
  readonly model: StoredModel;
  readonly identity: ModelIdentity;
  /** The client's arrays, of criterion `scores`. */
  readonly scores: readonly ScoreArray[] | null;
  /** What data-driven criteria run the model on. */
  readonly calibration: GivenSamples | null;
  /** What a target is searched on, in the place of one half of the evaluation data. */
  readonly selection: GivenSamples | null;
  /** What dense and pruned model are measured on. */
  readonly evaluation: GivenSamples | null;
  readonly recipe: Recipe;
  /** Which job it is of, for its report; none unless a service runs it. */
  readonly origin?: Origin;
  /** Says how many promises the same samples are tested for with this one; 1 unless given. */
  readonly countPromise?: (samples: string) => Promise<number>;
  /** An empty folder: it receives the pruned model, `masks.safetensors`, `report.json`, `report.html` and `report.md`. */
  readonly outputDirectory: string;
  /** Its threads also go through large models' files. Masks and pruned model do not depend on their number. */
  readonly runtime: RuntimeSettings;
  /** Whether both models are timed where they are evaluated, which takes up to two seconds; true unless given, and for a target of speed. */
  readonly isTimed?: boolean;
  /** Elements read at a time, a multiple of 4096. The result does not depend on it. */
  readonly chunkElements?: number;
}

/** What a job works on: without what the recipe has no use for, and samples as the model takes them. */
export interface UsedInput extends PruneInput {
  readonly calibration: SampleSet | null;
  /** Calibration data that the recipe has no use for: what measures the model may be held against them. */
  readonly unusedCalibration: SampleSet | null;
  readonly selection: SampleSet | null;
  readonly evaluation: SampleSet | null;
}

/** What a report calls the model. */
export interface ModelIdentity {
  /** The file's own name, which the pruned model gets too. */
  readonly name: string;
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** A job under way. */
export interface PruneJob {
  readonly input: UsedInput;
  readonly unused: readonly UnusedInput[];
  /** What share of a tensor's layer no calibration sample reached, as scoring finds it. */
  readonly unreached: Map<string, number>;
  /** For files that exist only while the job runs. */
  readonly scratchDirectory: string;
  readonly progress: Progress;
  readonly clock: StageClock;
  readonly signal: AbortSignal;
  /** To be called with the number of calibration samples that were run, batch by batch. */
  onCalibration(count: number): void;
}

/** What criteria score by. */
export function criterionContext(job: PruneJob): CriterionContext {
  const { input, unreached, scratchDirectory, signal, onCalibration: onSamples } = job;
  const { model, recipe, scores, calibration, runtime } = input;
  return {
    model,
    scratchDirectory,
    scores: scores && scoresByName(scores),
    calibration,
    onUnreached: (tensor, share) => unreached.set(tensor, share),
    seed: recipe.seed,
    runtime,
    signal,
    onSamples,
  };
}
