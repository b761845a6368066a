import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { refuseReservedNames, SCRATCH_FOLDER } from './artifact-names.ts';
import { Candidates } from './candidates.ts';
import { evaluate, openEvaluator } from './evaluate.ts';
import { countRule } from './passes/count-rule.ts';
import { Progress, type ProgressUpdate, StageClock } from './progress.ts';
import { calibrationWork, type PruneInput, type PruneJob } from './prune-job.ts';
import { countPasses, Repairs } from './repairs.ts';
import { searchBeta } from './search.ts';
import { StructureSubject } from './structures/structure-subject.ts';
import { usedInputs } from './used-inputs.ts';
import { WeightSubject } from './weight-subject.ts';
import { plannedWork } from './work.ts';
import { type Artifact, type Summary, writeReport } from './write-report.ts';

export interface PruneContext {
  readonly signal: AbortSignal;
  onProgress(update: ProgressUpdate): void;
}

export interface PruneOutcome {
  readonly summary: Summary;
  readonly artifacts: readonly Artifact[];
  readonly timings_ms: Readonly<Record<string, number>>;
}

/**
 * Effective Model Pruning of one model: score every weight or every structure, keep the `floor(beta * N_eff)` highest of each group, zero the other weights in place
 * or remove the other structures, repair what that shifted, and with evaluation data measure what it costs. The same input gives the same masks and model, whatever the
 * number of threads and the size of chunks.
 * @throws EmpError for what is wrong with the model, the data, the scores or the recipe; the signal's reason when aborted
 */
export async function prune(given: PruneInput, context: PruneContext): Promise<PruneOutcome> {
  const input = await usedInputs(given);
  const { model, recipe, outputDirectory, runtime } = input;
  const { signal } = context;
  refuseReservedNames(model.inventory);
  const planned = plannedWork(input, await countPasses(input));
  const progress = new Progress(planned, (update) => context.onProgress(update));
  const clock = new StageClock(progress);
  const repairs = new Repairs(input, signal, (count) => progress.advance(count * calibrationWork(input)));
  const scratchDirectory = join(outputDirectory, SCRATCH_FOLDER);
  await mkdir(scratchDirectory, { recursive: true });
  const job: PruneJob = { input, scratchDirectory, progress, clock, signal };

  await using subject =
    recipe.granularity === 'weight' ? await WeightSubject.score(job) : await StructureSubject.score(job);

  if (input.evaluation) clock.enter('evaluate');
  await using evaluator = await openEvaluator(input, progress, signal);
  const directory = join(scratchDirectory, 'candidate');
  const candidates = evaluator && new Candidates({ subject, recipe, evaluator, repairs, directory });
  const search =
    recipe.target && candidates
      ? await searchBeta(recipe.target, evaluator.dense, (beta) => candidates.at(beta))
      : null;

  const rule = countRule(recipe, search?.beta);
  const pruned = await subject.pruneForGood(rule);
  const { inventory, keptUnits, sparsity } = pruned;

  if (recipe.repair.length > 0) clock.enter('repair');
  else if (evaluator) clock.enter('evaluate');
  const path = join(outputDirectory, inventory.files[0]);
  const measure = async () => (recipe.dry_run ? null : ((await evaluator?.measure(path)) ?? null));
  const placed = { directory: outputDirectory, inventory };
  const { steps: repair, measured: own } = await repairs.apply(placed, keptUnits, measure);

  if (evaluator) clock.enter('evaluate');
  const evaluation =
    candidates && (await evaluate({ recipe, evaluator, candidates, rule, sparsity, path, own, search }));

  clock.enter('report');
  const content = await pruned.content();
  // Its memory is not to stand beside what the report's charts take.
  await subject[Symbol.asyncDispose]();
  const ran = evaluation !== null || input.calibration !== null || recipe.granularity !== 'weight';
  const { summary, artifacts } = await writeReport({
    model,
    recipe,
    rule,
    content,
    unused: input.unused,
    prunedFiles: recipe.dry_run ? [] : inventory.files,
    evaluation,
    repair,
    runtime: ran ? runtime : null,
    outputDirectory,
    progress,
    signal,
  });
  await rm(scratchDirectory, { recursive: true });
  return { summary, artifacts, timings_ms: clock.stop() };
}
