import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { appendSummary, fetchJob, followJob, SUMMARIES } from './finish-job.ts';
import { type GivenSamples, requireFiles, uploadModel, uploadSamples } from './given-data.ts';
import type { JobView } from './job-views.ts';
import { openOutputFolder } from './output-folder.ts';
import { EXIT, type ExitCode, fileRefusal, Refusal } from './refusal.ts';
import { costWords, decisionLines, exitCodeOf, labelled, promiseWords, sizeWords } from './result-words.ts';
import { type CommonFlags, type DataFlags, type Run, samplesOf } from './run.ts';

export interface PruneFlags extends CommonFlags, DataFlags {
  readonly recipe: Readonly<Record<string, unknown>>;
  /** A file that holds a recipe, or a job or a report with one. */
  readonly recipeFile?: string;
  readonly scores?: string;
}

const PARENT = 'emp-output';

/** What a job is made of: files, and a recipe. */
export interface JobFiles {
  readonly models: readonly string[];
  readonly samples: Readonly<Record<'evaluation' | 'calibration' | 'selection', GivenSamples>>;
  readonly scores?: string | undefined;
  readonly recipe: Readonly<Record<string, unknown>>;
}

/** Prunes a model by one recipe, and writes it. @returns 3 where the recipe's target is not met, or the model is unsafe */
export async function prune(run: Run, models: readonly string[], flags: PruneFlags): Promise<ExitCode> {
  const { client, terminal, resources } = run;
  const samples = samplesOf(flags);
  const recipe = { ...(flags.recipeFile ? await readRecipe(flags.recipeFile) : {}), ...flags.recipe };
  await requireJobFiles({ models, samples, recipe, scores: flags.scores });
  const output = resources.use(await openOutputFolder(flags.output, models[0], PARENT));
  const job = await runJob(run, { models, samples, recipe, scores: flags.scores });
  const report = await fetchJob(client, job, output);
  output.keep();
  await appendSummary(flags.summary, () => SUMMARIES.ofJob(output));
  const met = job.summary?.met;
  if (flags.json) terminal.stdout.write(`${JSON.stringify(job, null, 2)}\n`);
  else {
    const promise = promiseWords(report.evaluation, met);
    const warnings = report.verdict.warnings.map(({ text }) => ['note', text] as const);
    terminal.stdout.write(
      labelled([
        ['smaller', sizeWords(report, job.recipe)],
        ['cost', costWords(report.evaluation)],
        ...(promise ? ([['promise', promise]] as const) : []),
        ...decisionLines(report),
        ['files', `${join(output.path, job.artifacts[0]?.name ?? '')}; report.html beside it says more`],
        ...warnings,
      ]),
    );
  }
  return exitCodeOf(met, job.summary?.decision);
}

/** Before anything starts. @throws Refusal for what is no file */
export async function requireJobFiles({ models, samples, scores }: JobFiles): Promise<void> {
  const data = Object.values(samples).flatMap(({ files, labels }) => [...files, ...(labels ? [labels] : [])]);
  await requireFiles([...models, ...data, ...(scores ? [scores] : [])]);
}

/** Has a job done, and waits for its end. @throws Refusal */
export async function runJob(run: Run, files: JobFiles): Promise<JobView> {
  const { client } = run;
  const { models, samples, scores, recipe } = files;
  const scored =
    scores &&
    (await client.upload<{ id: string }>('/v1/datasets', [{ part: 'scores', path: scores }], '--scores'));
  const { id } = await client.post<JobView>('/v1/jobs', {
    model_id: await uploadModel(client, models),
    scores_dataset_id: scored ? scored.id : null,
    evaluation_dataset_id: await uploadSamples(client, samples.evaluation),
    calibration_dataset_id: await uploadSamples(client, samples.calibration),
    selection_dataset_id: await uploadSamples(client, samples.selection),
    recipe,
  });
  return await followJob(run, id);
}

/** @throws Refusal for a file that holds no recipe */
async function readRecipe(path: string): Promise<Record<string, unknown>> {
  const text = await readFile(path, 'utf8').catch((error) => {
    throw fileRefusal(error, `cannot read ${path}`);
  });
  try {
    const { recipe, ...rest } = JSON.parse(text);
    return recipe ?? rest;
  } catch (error) {
    throw new Refusal(
      EXIT.badInput,
      `${path} holds no recipe: ${error instanceof Error ? error.message : error}`,
    );
  }
}
