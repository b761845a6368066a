import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CriterionContext } from '../criteria/criterion.ts';
import { CRITERIA } from '../criteria/registry.ts';
import type { ModelTensor } from '../formats/model.ts';
import { type ScoreArray, scoresByName } from '../formats/score-file.ts';
import { apply } from './apply.ts';
import { refuseReservedNames, SCRATCH_FOLDER } from './artifact-names.ts';
import { type Decision, decideByLayer, decideByRow, decideGlobally } from './decide.ts';
import type { DenseModel } from './dense-model.ts';
import { countRule } from './passes/count-rule.ts';
import { type NamedScores, PassRunner } from './passes/runner.ts';
import { PassThreads } from './passes/threads.ts';
import { Progress, type ProgressUpdate, type Stage } from './progress.ts';
import type { Recipe } from './recipe.ts';
import { selectTensors } from './select-tensors.ts';
import { type Artifact, type Summary, writeReport } from './write-report.ts';

export interface PruneInput {
  readonly model: DenseModel;
  /** The client's arrays, of criterion `scores`. */
  readonly scores: readonly ScoreArray[] | null;
  readonly recipe: Recipe;
  /** An empty folder: it receives the pruned model, `masks.safetensors` and `report.json`. */
  readonly outputDirectory: string;
  /** Worker threads for large models. The result does not depend on it. */
  readonly threads: number;
  /** Elements read at a time, a multiple of 4096. The result does not depend on it. */
  readonly chunkElements?: number;
}

export interface PruneContext {
  readonly signal: AbortSignal;
  onProgress(update: ProgressUpdate): void;
}

export interface PruneOutcome {
  readonly summary: Summary;
  readonly artifacts: readonly Artifact[];
  readonly timings_ms: Readonly<Record<string, number>>;
}

/** Below this many weights starting threads costs more than they bring. */
const THREADS_FROM = 1_000_000;
/** A megabyte of float32: what a kernel takes at a time. */
const CHUNK_ELEMENTS = 2 ** 18;
/** Scores are read about twice before they are decided and once to be written, and what was written is hashed. */
const READINGS = 4;

/**
 * Effective Model Pruning of one model: score every weight, keep the `floor(beta * N_eff)` highest of each group, zero the rest in place.
 * The same input gives the same bytes, whatever the number of threads and the size of chunks.
 * @throws EmpError for what is wrong with the model, the scores or the recipe; the signal's reason when aborted
 */
export async function prune(input: PruneInput, context: PruneContext): Promise<PruneOutcome> {
  const { model, recipe, outputDirectory } = input;
  const { signal } = context;
  const progress = new Progress(READINGS * model.sizeBytes, (update) => context.onProgress(update));
  const clock = createClock(progress);
  refuseReservedNames(model.inventory);
  const scratchDirectory = join(outputDirectory, SCRATCH_FOLDER);
  await mkdir(scratchDirectory, { recursive: true });

  const tensors = selectTensors(model.inventory, recipe);

  clock.enter('score');
  const criterionContext: CriterionContext = {
    modelDirectory: model.directory,
    scratchDirectory,
    scores: input.scores && scoresByName(input.scores),
  };
  const scores: NamedScores[] = [];
  for (const tensor of tensors) {
    signal.throwIfAborted();
    const range = await CRITERIA[recipe.criterion](tensor, criterionContext);
    scores.push({ name: tensor.name, ...range });
  }

  clock.enter('decide');
  const n = scores.reduce((sum, range) => sum + range.n, 0);
  await using threads = new PassThreads(n < THREADS_FROM ? 0 : input.threads);
  const runner = new PassRunner({
    threads,
    signal,
    progress,
    chunkElements: input.chunkElements ?? CHUNK_ELEMENTS,
  });
  const decision = await decide(runner, scores, recipe, tensors);

  clock.enter('apply');
  const applied = await apply({
    model,
    tensors,
    scores,
    decision,
    dryRun: recipe.dry_run,
    outputDirectory,
    runner,
  });

  clock.enter('report');
  const { summary, artifacts } = await writeReport({
    model,
    recipe,
    tensors,
    decision,
    applied,
    outputDirectory,
    progress,
    signal,
  });
  await rm(scratchDirectory, { recursive: true });
  return { summary, artifacts, timings_ms: clock.stop() };
}

function decide(
  runner: PassRunner,
  scores: readonly NamedScores[],
  recipe: Recipe,
  tensors: readonly ModelTensor[],
): Promise<Decision> {
  const rule = countRule(recipe);
  switch (recipe.scope) {
    case 'global':
      return decideGlobally(runner, scores, rule);
    case 'layer':
      return decideByLayer(runner, scores, rule);
    case 'row':
      return decideByRow(
        runner,
        scores,
        rule,
        tensors.flatMap(({ rows }) => rows ?? []),
      );
  }
}

function createClock(progress: Progress) {
  const timings: Record<string, number> = {};
  let stage: Stage = 'inventory';
  let since = performance.now();
  const stop = () => {
    timings[stage] = Math.round(performance.now() - since);
    return timings;
  };
  return {
    enter(next: Stage): void {
      stop();
      stage = next;
      since = performance.now();
      progress.enter(next);
    },
    stop,
  };
}
