import type { CriterionContext } from '../criteria/context.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import type { ScoreArray } from '../formats/score-file.ts';
import { scoresByName } from '../formats/score-file.ts';
import type { Recipe } from '../recipe/recipe.ts';
import type { RuntimeSettings } from '../runtime/session.ts';
import type { DenseModel } from './dense-model.ts';
import type { Progress, StageClock } from './progress.ts';
import { sampleWork } from './work.ts';

export interface PruneInput {
  readonly model: DenseModel;
  /** The client's arrays, of criterion `scores`. */
  readonly scores: readonly ScoreArray[] | null;
  /** What data-driven criteria run the model on. */
  readonly calibration: SampleSet | null;
  /** What dense and pruned model are measured on. */
  readonly evaluation: SampleSet | null;
  readonly recipe: Recipe;
  /** An empty folder: it receives the pruned model, `masks.safetensors`, `report.json` and `report.html`. */
  readonly outputDirectory: string;
  /** Its threads also go through large models' files. Masks and pruned model do not depend on their number. */
  readonly runtime: RuntimeSettings;
  /** Elements read at a time, a multiple of 4096. The result does not depend on it. */
  readonly chunkElements?: number;
}

/** A job under way. */
export interface PruneJob {
  readonly input: PruneInput;
  readonly scratchDirectory: string;
  readonly progress: Progress;
  readonly clock: StageClock;
  readonly signal: AbortSignal;
}

/** What criteria score by. */
export function criterionContext({ input, scratchDirectory, progress, signal }: PruneJob): CriterionContext {
  const { model, recipe, scores, calibration, runtime } = input;
  return {
    modelDirectory: model.directory,
    inventory: model.inventory,
    scratchDirectory,
    scores: scores && scoresByName(scores),
    calibration,
    seed: recipe.seed,
    runtime,
    signal,
    onSamples: (count) => progress.advance(count * calibrationWork(input)),
  };
}

/** Of one sample. */
export function calibrationWork({ calibration }: PruneInput): number {
  return calibration ? sampleWork(calibration) : 0;
}
