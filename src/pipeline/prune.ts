import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CriterionContext } from '../criteria/criterion.ts';
import { CRITERIA } from '../criteria/registry.ts';
import type { ModelTensor } from '../formats/model.ts';
import type { SampleSet } from '../formats/sample-set.ts';
import { type ScoreArray, scoresByName } from '../formats/score-file.ts';
import type { RuntimeSettings } from '../runtime/session.ts';
import { apply } from './apply.ts';
import { refuseReservedNames, SCRATCH_FOLDER } from './artifact-names.ts';
import { Candidates, sparsityOf } from './candidates.ts';
import { namingData } from './data-errors.ts';
import { decide, type ScoredModel } from './decide.ts';
import type { DenseModel } from './dense-model.ts';
import { evaluate, openEvaluator } from './evaluate.ts';
import { hessianTrace } from './loss-bound.ts';
import { countRule } from './passes/count-rule.ts';
import { type NamedScores, PassRunner } from './passes/runner.ts';
import { PassThreads } from './passes/threads.ts';
import { Progress, type ProgressUpdate, StageClock } from './progress.ts';
import type { Recipe } from './recipe.ts';
import { searchBeta } from './search.ts';
import { selectTensors } from './select-tensors.ts';
import { plannedWork, sampleWork } from './work.ts';
import { type Artifact, type Summary, writeReport } from './write-report.ts';

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

/**
 * Effective Model Pruning of one model: score every weight, keep the `floor(beta * N_eff)` highest of each group, zero the rest in place, and
 * with evaluation data measure what that costs. The same input gives the same masks and model, whatever the number of threads and the size of chunks.
 * @throws EmpError for what is wrong with the model, the data, the scores or the recipe; the signal's reason when aborted
 */
export async function prune(input: PruneInput, context: PruneContext): Promise<PruneOutcome> {
  const { model, recipe, outputDirectory, runtime } = input;
  const { signal } = context;
  const progress = new Progress(plannedWork(input), (update) => context.onProgress(update));
  const clock = new StageClock(progress);
  refuseReservedNames(model.inventory);
  const scratchDirectory = join(outputDirectory, SCRATCH_FOLDER);
  await mkdir(scratchDirectory, { recursive: true });

  const tensors = selectTensors(model.inventory, recipe);

  clock.enter('score');
  const scores = await score(input, tensors, scratchDirectory, progress, signal);

  if (recipe.hessian_probes > 0) clock.enter('curvature');
  const onSamples = (count: number) => progress.advance(count * calibrationWork(input));
  const hessian = await hessianTrace(input, tensors, { scratchDirectory, runtime, signal, onSamples });

  clock.enter('decide');
  const n = scores.reduce((sum, range) => sum + range.n, 0);
  await using threads = new PassThreads(n < THREADS_FROM ? 0 : runtime.threads);
  const chunkElements = input.chunkElements ?? CHUNK_ELEMENTS;
  const runner = new PassRunner({ threads, signal, progress, chunkElements });
  const scored: ScoredModel = { runner, tensors, scores, summary: await runner.summarize(scores) };

  if (input.evaluation) clock.enter('evaluate');
  await using evaluator = await openEvaluator(input, progress, signal);
  const directory = join(scratchDirectory, 'candidate');
  const candidates = evaluator && new Candidates({ model, scored, recipe, evaluator, directory });
  const search =
    recipe.target && candidates
      ? await searchBeta(recipe.target, evaluator.dense, (beta) => candidates.at(beta))
      : null;

  clock.enter('decide');
  const rule = countRule(recipe, search?.beta);
  const decision = await decide(scored, rule, recipe.scope);

  clock.enter('apply');
  const squares = recipe.criterion === 'magnitude';
  const applied = await apply({ model, scored, decision, dryRun: recipe.dry_run, outputDirectory, squares });

  if (evaluator) clock.enter('evaluate');
  const sparsity = sparsityOf(scored, applied);
  const evaluation =
    candidates &&
    (await evaluate({ model, recipe, evaluator, candidates, rule, sparsity, outputDirectory, search }));

  // Their memory is not to stand beside what the report's charts take.
  await threads[Symbol.asyncDispose]();

  clock.enter('report');
  const ran = evaluation !== null || input.calibration !== null;
  const report = {
    model,
    recipe,
    scored,
    decision,
    applied,
    evaluation,
    hessian,
    rule,
    runtime: ran ? runtime : null,
  };
  const { summary, artifacts } = await writeReport({ ...report, outputDirectory, progress, signal });
  await rm(scratchDirectory, { recursive: true });
  return { summary, artifacts, timings_ms: clock.stop() };
}

/** Importance scores of every tensor, as stretches of files. */
async function score(
  input: PruneInput,
  tensors: readonly ModelTensor[],
  scratchDirectory: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<NamedScores[]> {
  const { model, recipe, scores, calibration, runtime } = input;
  const { directory: modelDirectory, inventory } = model;
  const onSamples = (count: number) => progress.advance(count * calibrationWork(input));
  const criterionContext: CriterionContext = {
    modelDirectory,
    inventory,
    scratchDirectory,
    scores: scores && scoresByName(scores),
    calibration,
    runtime,
    signal,
    onSamples,
  };
  const ranges = await namingData('calibration', () => CRITERIA[recipe.criterion](tensors, criterionContext));
  return ranges.map((range, i) => ({ name: tensors[i].name, ...range }));
}

/** Of one sample. */
function calibrationWork({ calibration }: PruneInput): number {
  return calibration ? sampleWork(calibration) : 0;
}
